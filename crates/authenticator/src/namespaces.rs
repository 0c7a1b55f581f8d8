//! In which namespaces a signature is asked for at all (PROTOCOL.sshsig).
//!
//! **Invariant**: a namespace that is not asked for is refused without a question, and the
//! reason says so.

use crate::show::Safe;

/// Which namespaces are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Namespaces {
    /// Every one; those that nobody here knows carry a warning.
    #[default]
    All,
    /// These alone.
    Only(Vec<String>),
}

impl Namespaces {
    /// Whether a signature in `namespace` is asked for.
    ///
    /// # Errors
    /// The reason, in words.
    pub fn check(&self, namespace: &str) -> Result<(), String> {
        match self {
            Self::All => Ok(()),
            Self::Only(names) if names.iter().any(|it| it == namespace) => Ok(()),
            Self::Only(names) => Err(format!(
                "signatures in the namespace {} are not asked for here, only in {}",
                Safe(namespace),
                names.join(", ")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_whole_is_asked_for() {
        let all = Namespaces::default();
        assert_eq!(all.check("anything@example.org"), Ok(()));
        let only = Namespaces::Only(vec!["git".into(), "file".into()]);
        assert_eq!(only.check("git"), Ok(()));
        assert_eq!(only.check("file"), Ok(()));
        for (namespace, shown) in [
            ("gi", "gi"),
            ("Git", "Git"),
            ("git ", "git "),
            ("\x1b", "\\u{1b}"),
        ] {
            let reason = format!(
                "signatures in the namespace {shown} are not asked for here, only in git, file"
            );
            assert_eq!(only.check(namespace), Err(reason));
        }
        assert!(Namespaces::Only(vec![]).check("git").is_err());
    }
}
