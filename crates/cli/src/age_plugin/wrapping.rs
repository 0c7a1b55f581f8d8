//! `recipient-v1`: file keys are wrapped to the recipients of identities (`age -e -i FILE`).
//! Nobody is asked: a recipient is public.

use aws_lc_rs::rand::SystemRandom;
use keystead_agent::key_control::IdentitySpec;
use keystead_formats::age::PluginIdentity;
use keystead_formats::age::plugin::{Complaint, Say, Wrap, WrapPlan};
use keystead_formats::age::x25519;

use super::conversation::Conversation;
use crate::failure::Failure;
use crate::key_link::{KeyLink, Talk};

/// Hears what is to be wrapped, and says the stanzas.
pub(super) async fn run(age: &mut Conversation) -> Result<(), Failure> {
    let mut told = Wrap::default();
    age.hear(|command| told.take(command))?;
    let WrapPlan {
        identities,
        file_keys,
        mut complaints,
    } = told.plan();
    let mut recipients = Vec::new();
    if complaints.is_empty() {
        for (index, identity) in identities.iter().enumerate() {
            match recipient(identity).await {
                Ok(recipient) => recipients.push(recipient),
                Err(failure) => complaints.push(Complaint::Identity {
                    index,
                    text: super::line_of(&failure),
                }),
            }
        }
    }
    // No stanza at all where one is missing: the file would not be for all whom age was told.
    if complaints.is_empty() {
        for (file, file_key) in file_keys.iter().enumerate() {
            for recipient in &recipients {
                let wrapped = x25519::wrap(file_key.expose(), recipient, &SystemRandom::new());
                let wrapped = wrapped.map_err(|error| Failure::of(&error))?;
                let wrapped = &wrapped;
                age.say(&Say::RecipientStanza { file, wrapped })?;
            }
        }
    }
    super::end(age, &complaints)
}

/// The public key of an identity, as the agent knows it or a wallet tells it.
async fn recipient(identity: &PluginIdentity) -> Result<[u8; 32], Failure> {
    let mut link = KeyLink::open(Talk::ByAgent).await?;
    let id = identity.key.to_string();
    let key = match &identity.identity {
        Some(derived) => Some(link.identity_key(IdentitySpec::of(derived), None).await?),
        None => link.keys().await?.into_iter().find(|key| key.id == id),
    };
    let public = key
        .filter(|key| key.id == id)
        .and_then(|key| key.public_key_bytes());
    public
        .and_then(|public| public.try_into().ok())
        .ok_or_else(|| {
            Failure::new("no keeper has this identity's key")
                .hint("`keystead key list` shows those that there are")
        })
}
