//! Options that gpg-agent has, of GnuPG 2.2 and 2.4 (`gpg-agent --dump-options`).

/// An option that gpg-agent has.
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) value: Value,
}

#[derive(Clone, Copy)]
pub(super) enum Value {
    None,
    Needed,
    Possible,
}

impl Known {
    /// By its name, or by as much of it as no other name begins with.
    pub(super) fn meant(name: &[u8]) -> Option<Self> {
        if let Some(exact) = Self::called(name) {
            return Some(exact);
        }
        let begins = |it: &Self| !name.is_empty() && it.name.as_bytes().starts_with(name);
        let mut begun = Self::all().filter(begins);
        let first = begun.next()?;
        begun.next().is_none().then_some(first)
    }

    pub(super) fn called(name: &[u8]) -> Option<Self> {
        Self::all().find(|it| it.name.as_bytes() == name)
    }

    fn all() -> impl Iterator<Item = Self> {
        let groups = [
            (Value::None, FLAGS),
            (Value::Needed, WITH_VALUE),
            (Value::Possible, WITH_POSSIBLE_VALUE),
        ];
        let each = |(value, names): (Value, &'static [&'static str])| {
            names.iter().map(move |name| Self { name, value })
        };
        groups.into_iter().flat_map(each)
    }
}

/// Options without a value: GnuPG 2.2 and those of 2.4.
const FLAGS: &[&str] = &[
    "allow-emacs-pinentry",
    "allow-loopback-pinentry",
    "allow-mark-trusted",
    "allow-preset-passphrase",
    "batch",
    "csh",
    "daemon",
    "debug-all",
    "debug-pinentry",
    "debug-quick-random",
    "disable-check-own-socket",
    "disable-extended-key-format",
    "disable-scdaemon",
    "dump-option-table",
    "dump-options",
    "enable-extended-key-format",
    "enable-passphrase-history",
    "enable-putty-support",
    "enable-ssh-support",
    "enable-win32-openssh-support",
    "enforce-passphrase-constraints",
    "gpgconf-list",
    "gpgconf-test",
    "grab",
    "help",
    "ignore-cache-for-signing",
    "keep-display",
    "keep-tty",
    "no-allow-external-cache",
    "no-allow-loopback-pinentry",
    "no-allow-mark-trusted",
    "no-detach",
    "no-grab",
    "no-options",
    "no-use-standard-socket",
    "no-user-trustlist",
    "pinentry-formatted-passphrase",
    "quiet",
    "server",
    "sh",
    "steal-socket",
    "supervised",
    "use-standard-socket",
    "use-standard-socket-p",
    "verbose",
    "version",
    "warranty",
];

/// Options with a value.
const WITH_VALUE: &[&str] = &[
    "browser-socket",
    "check-passphrase-pattern",
    "check-sym-passphrase-pattern",
    "debug",
    "debug-level",
    "debug-wait",
    "default-cache-ttl",
    "default-cache-ttl-ssh",
    "display",
    "extra-socket",
    "faked-system-time",
    "homedir",
    "inactivity-timeout",
    "lc-ctype",
    "lc-messages",
    "listen-backlog",
    "log-file",
    "max-cache-ttl",
    "max-cache-ttl-ssh",
    "max-passphrase-days",
    "min-passphrase-len",
    "min-passphrase-nonalpha",
    "options",
    "pinentry-invisible-char",
    "pinentry-program",
    "pinentry-timeout",
    "pinentry-touch-file",
    "s2k-calibration",
    "s2k-count",
    "scdaemon-program",
    "ssh-fingerprint-digest",
    "sys-trustlist-name",
    "tpm2daemon-program",
    "ttyname",
    "ttytype",
    "xauthority",
];

/// Options whose value may be left out.
const WITH_POSSIBLE_VALUE: &[&str] = &["auto-expand-secmem", "write-env-file"];
