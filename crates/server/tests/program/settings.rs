//! Settings that cannot be, as the person sees it.

use crate::server::Folder;

#[test]
fn a_mistake_names_file_and_line() {
    let check = |before: &str, tables: &str, line: usize, part: &str| {
        let folder = Folder::empty();
        std::fs::write(folder.file("config.toml"), format!("{before}\n{tables}\n")).unwrap();
        let said = folder.fails(&["run"], 1);
        let place = format!("{}:{line}: ", folder.file("config.toml").display());
        let expected = format!("keystead-server: error: {place}");
        assert!(said.starts_with(&expected), "{said}");
        assert!(said.contains(part), "{said}");
        assert_eq!(said.lines().count(), 2, "{said}");
    };
    check("listen = 7443", "", 1, "invalid type");
    check("", "[sessions]\nidle_s = 0", 3, "not from 1 to 86400");
    check("colour = 1", "", 1, "unknown field `colour`");
    check("database = \"oracle:x\"", "", 1, "sqlite:FILE");
    check("", "[guesses]\nlock_after = 3", 3, "above free");
    check("[", "", 1, "");
}

#[test]
fn what_cannot_be_had_is_named() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = folder.fails(&["run", "--listen", &address], 1);
    assert!(
        said.contains(&format!("nothing can listen at {address}")),
        "{said}"
    );
    assert!(said.contains("--listen"), "{said}");
    let said = folder.fails(&["run", "--database", "sqlite:/nowhere/at/all.db"], 1);
    assert!(said.contains("hint: "), "{said}");
    std::fs::write(folder.file("server.key"), "no key").unwrap();
    std::fs::remove_file(folder.file("ca.key")).unwrap();
    let said = folder.fails(&["run", "--listen", "127.0.0.1:0"], 1);
    assert!(said.contains("no private key in "), "{said}");
}
