//! The decoders for age and minisign.

use keystead_formats::age::plugin::{Answer, Phase, Unwrap, Wrap};
use keystead_formats::age::stanza::write;
use keystead_formats::age::{PluginIdentity, StanzaReader, bech32, identity};
use keystead_formats::minisign::{PublicKey, Signature, ToSign};

/// Stanzas are written back; whatever age says, there is a plan or an error.
pub(crate) fn age_plugin(bytes: &[u8]) {
    let mut reader = StanzaReader::new();
    let (mut unwrap, mut wrap) = (Unwrap::default(), Wrap::default());
    let mut rest = bytes;
    let mut written = Vec::new();
    loop {
        let before = rest;
        match reader.next_stanza(&mut rest) {
            Ok(Some(stanza)) => {
                let taken = (unwrap.take(&stanza), wrap.take(&stanza));
                let _ = Answer::parse(&stanza);
                let words: Vec<&str> = std::iter::once(stanza.tag())
                    .chain(stanza.arguments().iter().map(String::as_str))
                    .collect();
                let again = write(&words, stanza.body().expose());
                let used = before.len() - rest.len();
                assert_eq!(before.get(..used), Some(again.expose()));
                written.extend_from_slice(again.expose());
                if taken.0 == Ok(Phase::Done) {
                    break;
                }
            }
            Ok(None) | Err(_) => break,
        }
    }
    assert!(bytes.starts_with(&written));
    let plan = unwrap.plan();
    assert!(plan.files.iter().all(|file| !file.tries.is_empty()));
    let _ = wrap.plan();
}

/// Texts have one reading, and a reading one text.
pub(crate) fn age_texts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    if let Ok((prefix, value)) = bech32::decode(text) {
        assert_eq!(bech32::encode(&prefix, &value), text.to_ascii_lowercase());
    }
    if let Ok(named) = PluginIdentity::parse(text) {
        assert_eq!(named.encode(), text.to_ascii_uppercase());
    }
    if let Ok(public) = identity::parse_recipient(text) {
        assert_eq!(identity::recipient(&public), text);
    }
}

pub(crate) fn minisign(bytes: &[u8]) {
    if let Ok(asked) = ToSign::parse(bytes) {
        assert_eq!(asked.encode(), bytes);
    }
    let text = String::from_utf8_lossy(bytes);
    if let Ok(key) = PublicKey::parse(&text) {
        assert_eq!(PublicKey::parse(&key.file()), Ok(key));
        assert!(text.contains(&key.line()));
    }
    if let Ok(signature) = Signature::parse(&text) {
        let (comment, _) = text.split_once('\n').unwrap_or_default();
        let comment = comment.strip_prefix("untrusted comment: ");
        let written = signature.file(comment.unwrap_or_default());
        assert_eq!(written.as_deref(), Ok(&*text));
    }
}
