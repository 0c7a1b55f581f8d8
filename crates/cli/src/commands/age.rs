//! `age recipient|identity`: what goes into age's own files.

use keystead_agent::key_control::HeldKey;
use keystead_core::KeyId;
use keystead_formats::age::identity::{PluginIdentity, recipient as text_of};

use crate::age_plugin;
use crate::agent_link::{block_on, unexpected};
use crate::arguments::AgeKey;
use crate::commands::chosen_key::{Service, Wanted, choose, shown};
use crate::commands::plugin_link;
use crate::failure::Failure;
use crate::key_link::{KeyLink, Talk};
use crate::terminal::{print, print_raw, say};

/// `age recipient [--keeper NAME] [--index N] [NAME]`
pub(crate) fn recipient(wanted: &AgeKey) -> Result<(), Failure> {
    let (_, public) = chosen(wanted)?;
    print(text_of(&public))
}

/// `age identity [--keeper NAME] [--index N] [NAME]`
pub(crate) fn identity(wanted: &AgeKey) -> Result<(), Failure> {
    let (key, public) = chosen(wanted)?;
    let id: KeyId = key.id.parse().map_err(|_| unexpected())?;
    let derived = key.identity.as_ref().map(|spec| spec.identity());
    let identity = PluginIdentity {
        key: id,
        identity: derived.transpose().map_err(|_| unexpected())?,
    };
    // As age-keygen writes its files; lines with # are age's comments.
    let text = format!(
        "# keystead: {}\n# public key: {}\n{}\n",
        shown(&key),
        text_of(&public),
        identity.encode()
    );
    print_raw(text.as_bytes())?;
    if plugin_link::on_path().is_empty() {
        let program = std::env::current_exe()?;
        say(format_args!(
            "note: age does not find {NAME} on the PATH; `keystead agent install` lays a link, or \
             make it: ln -s {} ~/.local/bin/{NAME}",
            program.display(),
            NAME = age_plugin::NAME,
        ));
    }
    Ok(())
}

fn chosen(wanted: &AgeKey) -> Result<(HeldKey, [u8; 32]), Failure> {
    let wanted = Wanted {
        name: wanted.name.as_deref(),
        keeper: wanted.keeper.as_ref().map(|keeper| keeper.as_str()),
        index: wanted.index,
        may_be_new: true,
    };
    let key = block_on(async {
        let mut link = KeyLink::open(Talk::Here).await?;
        choose(&mut link, Service::AGE, &wanted).await
    })?;
    let public = public_of(&key)?;
    Ok((key, public))
}

fn public_of(key: &HeldKey) -> Result<[u8; 32], Failure> {
    let public = key.public_key_bytes().and_then(|it| it.try_into().ok());
    public.ok_or_else(unexpected)
}

/// What others encrypt to.
pub(super) fn recipient_of(key: &HeldKey) -> Result<String, Failure> {
    Ok(text_of(&public_of(key)?))
}
