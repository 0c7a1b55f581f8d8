//! Debian packages by `apt-get`, with no service left running.

use crate::console::say;
use crate::failure::Result;
use crate::run::Program;

/// Who installs.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum As {
    Root,
    Sudo,
}

/// Installs packages without what they merely recommend.
pub(super) fn install(packages: &[&str], who: As) -> Result<()> {
    say(&format!("Installing {} by apt-get.", packages.join(", ")));
    let shell = match who {
        As::Root => Program::new("sh"),
        As::Sudo => Program::new("sudo").arg("sh"),
    };
    shell.args(["-c", INSTALL, "install"]).args(packages).must()
}

/// One script, so that root's part of the work is one program and puts things
/// back whatever ends it.
///
/// `policy-rc.d` is what Debian's packages ask before they start a service
/// (invoke-rc.d(8)); 101 is "forbidden by policy". The file that was there
/// before comes back. One with our own first comment is left from a run that
/// was killed outright: that one is nobody's.
const INSTALL: &str = r#"
set -eu
policy=/usr/sbin/policy-rc.d
aside=$policy.before-keystead
put_back() {
    rm -f "$policy"
    if [ -e "$aside" ] || [ -L "$aside" ]; then mv "$aside" "$policy"; fi
}
trap put_back EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
if [ -L "$policy" ] || { [ -e "$policy" ] && ! grep -q '^# keystead: ' "$policy"; }; then
    mv "$policy" "$aside"
fi
printf '#!/bin/sh\n# keystead: no service starts while packages are installed.\nexit 101\n' >"$policy"
chmod 755 "$policy"
export DEBIAN_FRONTEND=noninteractive
had_server=no
if [ -e /usr/sbin/sshd ]; then had_server=yes; fi
apt-get update -q
apt-get install -q -y --no-install-recommends "$@"
# Nor at the next start of the machine: it was asked for a program, not a server.
if [ "$had_server" = no ] && [ -d /run/systemd/system ]; then
    for unit in ssh.service ssh.socket; do systemctl disable --quiet "$unit" 2>/dev/null || true; done
fi
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_a_shell_script() {
        assert!(Program::new("sh").args(["-n", "-c", INSTALL]).quietly());
    }
}
