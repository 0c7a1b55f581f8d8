//! The files in which a person says what the agent may: people edit them by hand.

use keystead_agent::identities::{Login, Patterns};
use keystead_agent::policy::Policy;
use keystead_agent::settings::Settings;
use keystead_core::{Curve, Protocol};

/// A policy's text reads back as it was; what identities.toml offers is for ssh.
pub(crate) fn files(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = Settings::parse(text);
    if let Ok(policy) = Policy::parse(text) {
        let again = Policy::parse(&policy.to_text());
        assert_eq!(again.ok(), Some(policy));
    }
    if let Ok(patterns) = Patterns::parse(text, Curve::Nist256p1) {
        for host in ["db1", "2001:db8::1", text] {
            let login = Login {
                user: Some("alex".to_owned()),
                host: host.to_owned(),
                port: Some(2222),
            };
            for offer in patterns.offers(&login) {
                assert_eq!(offer.identity.protocol(), Protocol::Ssh);
            }
        }
    }
}
