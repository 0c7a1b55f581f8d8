//! `audit export`: all that proves the log, in a file that a checker of one's own reads.
//!
//! **Invariant:** every page's head, every entry's path in it, and a head that was asked for
//! afterwards; the last line counts the others, so a file that was cut shows.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use keystead_keeper::server::Page;
use keystead_keeper::server::log::export::Line;
use keystead_keeper::server::protocol::List;
use keystead_keeper::server::protocol::requests::{AuditPage, Head, HeadPage, Request};

use super::{all_entries, pages};
use crate::agent_link::{block_on, unexpected};
use crate::arguments::Export;
use crate::failure::Failure;
use crate::server_link::{self, ServerLink};
use crate::terminal::{print_raw, say};

/// `audit export FILE [--server NAME]`
pub(crate) fn export(wanted: &Export) -> Result<(), Failure> {
    let book = server_link::book()?;
    let page = server_link::server(&book, wanted.which.server.as_deref())?;
    let lines = block_on(async {
        let mut link = ServerLink::open().await?;
        let request = all_entries();
        let pages = pages(&mut link, &page, request).await?;
        let listing = link.list(&page.name).await?;
        listing.check(&page.name)?;
        let entries = listing.entries;
        let mut lines = vec![
            Line::Title,
            Line::Server(page.server),
            Line::Key(page.log_key),
            Line::User(page.user),
        ];
        push_pages(&mut lines, &pages)?;
        push_heads(&mut lines, &mut link, &page, &pages).await?;
        for entry in &entries {
            lines.push(Line::Listed {
                key: entry.key,
                kind: entry.kind,
                revision: entry.revision,
            });
        }
        Ok(lines)
    })?;
    let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    let mut text: String = lines.iter().map(Line::write).collect();
    text.push_str(&Line::End(count).write());
    if wanted.file == Path::new("-") {
        return print_raw(text.as_bytes());
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&wanted.file)
        .map_err(|error| not_made(&wanted.file, &error))?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        // It holds nothing that the server does not have.
        let _ = std::fs::remove_file(&wanted.file);
        return Err(not_made(&wanted.file, &error));
    }
    say(format_args!(
        "{} lines in {}",
        count.saturating_add(1),
        wanted.file.display()
    ));
    Ok(())
}

fn not_made(file: &Path, error: &std::io::Error) -> Failure {
    let file = file.display();
    if error.kind() == ErrorKind::AlreadyExists {
        return Failure::new(format!("{file} is there already"))
            .hint("an export goes into a new file; name another one");
    }
    Failure::new(format!("{file} cannot be written: {error}"))
}

/// Each page's head, entries and their paths in it.
fn push_pages(lines: &mut Vec<Line>, pages: &[AuditPage]) -> Result<(), Failure> {
    for (at, page) in pages.iter().enumerate() {
        let checkpoint = u64::try_from(at).unwrap_or(u64::MAX);
        lines.push(Line::Checkpoint(page.checkpoint.0.clone()));
        let proofs = page.proofs.as_ref().ok_or_else(unexpected)?;
        for (leaf, proof) in page.leaves.0.iter().zip(&proofs.0) {
            lines.push(Line::Leaf {
                index: proof.index,
                leaf: leaf.0.clone(),
            });
            lines.push(Line::Path {
                checkpoint,
                path: proof.path.0.clone(),
            });
        }
    }
    Ok(())
}

/// That each page's head is continued by one that was asked for after it.
async fn push_heads(
    lines: &mut Vec<Line>,
    link: &mut ServerLink,
    page: &Page,
    pages: &[AuditPage],
) -> Result<(), Failure> {
    for (at, told) in pages.iter().enumerate() {
        let size = size_of(&told.checkpoint.0).ok_or_else(unexpected)?;
        let request = Request::Head(Head {
            from_size: Some(size),
            indices: List(Vec::new()),
        });
        let head = link.result(&page.name, &request, HeadPage::decode).await?;
        lines.push(Line::Checkpoint(head.checkpoint.0.clone()));
        let from = u64::try_from(at).unwrap_or(u64::MAX);
        let to = u64::try_from(pages.len().saturating_add(at)).unwrap_or(u64::MAX);
        lines.push(Line::Consistency {
            from,
            to,
            proof: head.consistency.map(|it| it.0).unwrap_or_default(),
        });
    }
    Ok(())
}

/// The second line of a checkpoint (C2SP tlog-checkpoint).
fn size_of(note: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(note).ok()?;
    text.lines().nth(1)?.parse().ok()
}
