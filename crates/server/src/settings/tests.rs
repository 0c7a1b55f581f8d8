use std::path::Path;

use super::*;

const FILE: &str = "/srv/keys/config.toml";

#[track_caller]
fn wrong(text: &str, expected: &str) {
    let error = Settings::parse(text, Path::new(FILE)).unwrap_err();
    assert_eq!(error.to_string(), format!("{FILE}{expected}"), "{text:?}");
    assert!(!error.hint().is_empty());
}

#[test]
fn an_empty_file_is_the_defaults_and_those_are_the_specifications() {
    let settings = Settings::parse("", Path::new(FILE)).unwrap();
    assert_eq!(settings, Settings::default());
    assert_eq!(settings.limits(), session::Limits::DEFAULT);
    assert_eq!(settings.lowest_binding(), BindingKind::Exporter);
    assert_eq!(settings.registration(), Registration::Invitation);
    let guesses = settings.guesses;
    assert_eq!((guesses.free, guesses.lock_after), (5, 100));
    assert_eq!(settings.connections.half_open_max, 20_000);
}

#[test]
fn what_is_set_is_taken() {
    let text = "
        listen = \"[::]:443\"
        metrics = \"127.0.0.1:9100\"
        database = \"postgres://keys@/keys\"
        binding = \"optional\"
        registration = \"open\"
        [websocket]
        origins = [\"https://keys.example.org\", \"http://localhost:5173\"]
        [proxy]
        from = [\"10.0.0.7\", \"fd00::7\"]
        [sessions]
        requests_max = 1
        [guesses]
        per_source_s = 0
    ";
    let settings = Settings::parse(text, Path::new(FILE)).unwrap();
    assert_eq!(settings.listen, "[::]:443".parse().unwrap());
    assert_eq!(settings.limits().requests_max, 1);
    assert_eq!(settings.limits().idle_s, 900);
    assert_eq!(settings.lowest_binding(), BindingKind::Unbound);
    assert_eq!(settings.registration(), Registration::Open);
    assert_eq!(settings.proxy.from.len(), 2);
    assert_eq!(settings.guesses.per_source_s, 0);
    assert_eq!(settings.guesses.free, 5);
}

#[test]
fn a_mistake_is_named_with_its_line() {
    wrong("\n[sessions]\nidle_s = 0\n", ":3: 0 is not from 1 to 86400");
    wrong(
        "[secrets]\nvalue_bytes_max = 65537",
        ":2: 65537 is not from 1 to 65536",
    );
    wrong(
        "profile_shares = [0, 0, 0]",
        ":1: one share at least must be above 0",
    );
    wrong(
        "[guesses]\nfree = 9\nlock_after = 9",
        ":3: lock_after must be above free",
    );
    wrong(
        "[websocket]\norigins = [\"*\"]",
        ":2: an origin is https://HOST or https://HOST:PORT",
    );
    wrong(
        "\ndatabase = \"mysql://x\"",
        ":2: a database is sqlite:FILE or postgres://…",
    );
    wrong(
        "[tls]\nclient_certificate = \"optional\"",
        ":2: client_certificate needs client_authorities",
    );
}

#[test]
fn what_is_no_setting_is_refused() {
    for (text, line, part) in [
        ("\nlisten = 1", 2, "invalid type"),
        ("idle_s = 5", 1, "unknown field `idle_s`"),
        ("[session]\n", 1, "unknown field `session`"),
        ("[sessions]\n\nidle_s = -1", 3, "invalid value"),
        ("[sessions]\nidle_s = 1.5", 2, "invalid type"),
        ("binding = \"none\"", 1, "unknown variant `none`"),
        ("registration = \"Open\"", 1, "unknown variant `Open`"),
        ("[proxy]\nfrom = [\"10.0.0.0/8\"]", 2, "invalid IP address"),
        ("listen = \"localhost:1\"", 1, "socket address"),
        ("listen = \"127.0.0.1:1\"\nlisten", 2, ""),
    ] {
        let error = Settings::parse(text, Path::new(FILE)).unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with(&format!("{FILE}:{line}: ")), "{said}");
        assert!(said.contains(part), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// What the manual shows is every setting there is, at its default.
#[test]
fn the_manual_shows_all_of_them() {
    let shown = Settings::parse(EXAMPLE, Path::new(FILE)).unwrap();
    assert_eq!(shown, Settings::default());
    let with_all = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(set) if !set.starts_with(' ') => set,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n");
    let all = Settings::parse(&with_all, Path::new(FILE)).unwrap();
    assert!(all.metrics.is_some() && all.address.is_some() && all.tls.authority.is_some());
    // No field is left out: each name of the types stands in the text.
    let names = include_str!("../settings.rs").lines().filter_map(|line| {
        let field = line.strip_prefix("    pub ")?;
        let (name, _) = field.split_once(": ")?;
        name.chars()
            .all(|it| it.is_ascii_lowercase() || it == '_')
            .then_some(name)
    });
    let mut count = 0;
    for name in names {
        let sets =
            |line: &str| line.starts_with(&format!("{name} = ")) || line == format!("[{name}]");
        assert!(with_all.lines().any(sets), "{name} is not shown");
        count += 1;
    }
    assert!(count > 40, "{count}");
}
