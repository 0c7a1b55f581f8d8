//! `evidence` of `spec/pairing.md` section 5.1: what the workstation can show for a request.
//!
//! **Invariant**: what [`fit_evidence`] leaves can be encoded and is read by every
//! receiver of this version; it never touches a bind, for those prove.

use keystead_core::{Evidence, Intent, SessionBind, is_unsafe_to_show};

use super::{
    ARGUMENT_BYTES_MAX, BLOB_BYTES_MAX, Fault, HOST_NAME_BYTES_MAX, INTENT_BYTES_MAX,
    PATH_BYTES_MAX, Reader, SESSION_ID_BYTES_MAX, USER_ID_BYTES_MAX, Writer, showable,
};

/// Cuts and cleans the workstation's words so that they may stand in a message: lists and
/// texts to their limits, characters that are unsafe to show to `?`, an empty text to `""`.
/// What is too much is cut at the end, where a command line says least.
pub fn fit_evidence(evidence: &mut Evidence) {
    fit_list(
        &mut evidence.host_names,
        Evidence::HOST_NAMES_MAX,
        HOST_NAME_BYTES_MAX,
    );
    fit_list(
        &mut evidence.arguments,
        Evidence::ARGUMENTS_MAX,
        ARGUMENT_BYTES_MAX,
    );
    fit_list(&mut evidence.files, Evidence::FILES_MAX, PATH_BYTES_MAX);
    fit_list(&mut evidence.parents, Evidence::PARENTS_MAX, PATH_BYTES_MAX);
    if let Some(path) = &mut evidence.process_path {
        fit(path, PATH_BYTES_MAX);
    }
    if let Some(user_id) = &mut evidence.user_id {
        fit(user_id, USER_ID_BYTES_MAX);
    }
    if let Some(intent) = &mut evidence.intent {
        fit(&mut intent.what, INTENT_BYTES_MAX);
    }
}

pub(super) fn write_evidence(writer: &mut Writer, evidence: &Evidence) {
    let fields = [
        !evidence.binds.is_empty(),
        !evidence.host_names.is_empty(),
        evidence.preimage.is_some(),
        evidence.process_path.is_some(),
        !evidence.arguments.is_empty(),
        !evidence.files.is_empty(),
        evidence.user_id.is_some(),
        !evidence.parents.is_empty(),
        evidence.intent.is_some(),
        evidence.is_background,
    ];
    writer.map(fields.iter().filter(|there| **there).count());
    if !evidence.binds.is_empty() {
        writer.key(1).list_of(&evidence.binds, write_bind);
    }
    write_texts(writer, 2, &evidence.host_names);
    if let Some(preimage) = &evidence.preimage {
        writer.key(3).bytes(preimage);
    }
    if let Some(path) = &evidence.process_path {
        writer.key(4).text(path);
    }
    write_texts(writer, 5, &evidence.arguments);
    write_texts(writer, 6, &evidence.files);
    if let Some(user_id) = &evidence.user_id {
        writer.key(7).text(user_id);
    }
    write_texts(writer, 8, &evidence.parents);
    if let Some(intent) = &evidence.intent {
        write_intent(writer.key(9), intent);
    }
    if evidence.is_background {
        writer.key(10).boolean(true);
    }
}

pub(super) fn read_evidence(reader: &mut Reader<'_>) -> Result<Evidence, Fault> {
    let mut fields = reader.fields()?;
    let mut evidence = Evidence::default();
    if fields.optional(reader, 1)? {
        evidence.binds = reader.list_of(1, Evidence::BINDS_MAX, read_bind)?;
    }
    if fields.optional(reader, 2)? {
        evidence.host_names = read_texts(reader, Evidence::HOST_NAMES_MAX, HOST_NAME_BYTES_MAX)?;
    }
    if fields.optional(reader, 3)? {
        evidence.preimage = Some(reader.bytes(Evidence::PREIMAGE_BYTES_MAX)?.to_vec());
    }
    if fields.optional(reader, 4)? {
        evidence.process_path = Some(reader.text(PATH_BYTES_MAX)?.to_owned());
    }
    if fields.optional(reader, 5)? {
        evidence.arguments = read_texts(reader, Evidence::ARGUMENTS_MAX, ARGUMENT_BYTES_MAX)?;
    }
    if fields.optional(reader, 6)? {
        evidence.files = read_texts(reader, Evidence::FILES_MAX, PATH_BYTES_MAX)?;
    }
    if fields.optional(reader, 7)? {
        evidence.user_id = Some(reader.text(USER_ID_BYTES_MAX)?.to_owned());
    }
    if fields.optional(reader, 8)? {
        evidence.parents = read_texts(reader, Evidence::PARENTS_MAX, PATH_BYTES_MAX)?;
    }
    if fields.optional(reader, 9)? {
        evidence.intent = Some(read_intent(reader)?);
    }
    if fields.optional(reader, 10)? {
        evidence.is_background = reader.only_true()?;
    }
    fields.end(reader)?;
    Ok(evidence)
}

fn write_bind(writer: &mut Writer, bind: &SessionBind) {
    writer.list(4).bytes(&bind.host_key).bytes(&bind.session_id);
    writer.bytes(&bind.signature).boolean(bind.forwarding);
}

fn read_bind(reader: &mut Reader<'_>) -> Result<SessionBind, Fault> {
    reader.tuple(4)?;
    Ok(SessionBind {
        host_key: reader.bytes(BLOB_BYTES_MAX)?.to_vec(),
        session_id: reader.bytes(SESSION_ID_BYTES_MAX)?.to_vec(),
        signature: reader.bytes(BLOB_BYTES_MAX)?.to_vec(),
        forwarding: reader.boolean()?,
    })
}

fn write_intent(writer: &mut Writer, intent: &Intent) {
    writer.map(if intent.count.is_some() { 3 } else { 2 });
    writer.key(1).bytes(&intent.id);
    writer.key(2).text(&intent.what);
    if let Some(count) = intent.count {
        writer.key(3).unsigned(u64::from(count));
    }
}

fn read_intent(reader: &mut Reader<'_>) -> Result<Intent, Fault> {
    let mut fields = reader.fields()?;
    fields.required(reader, 1)?;
    let id = reader.array()?;
    fields.required(reader, 2)?;
    let what = reader.text(INTENT_BYTES_MAX)?.to_owned();
    let count = match fields.optional(reader, 3)? {
        true => Some(reader.unsigned_32()?),
        false => None,
    };
    fields.end(reader)?;
    Ok(Intent { id, what, count })
}

fn write_texts(writer: &mut Writer, key: u64, texts: &[String]) {
    if !texts.is_empty() {
        writer.key(key).list_of(texts, |writer, text| {
            writer.text(text);
        });
    }
}

fn read_texts(
    reader: &mut Reader<'_>,
    count_max: usize,
    bytes_max: usize,
) -> Result<Vec<String>, Fault> {
    reader.list_of(1, count_max, |reader| {
        reader.text(bytes_max).map(str::to_owned)
    })
}

fn fit_list(texts: &mut Vec<String>, count_max: usize, bytes_max: usize) {
    texts.truncate(count_max);
    let mut left = LIST_BYTES_MAX;
    texts.retain_mut(|text| {
        fit(text, bytes_max);
        left = left.saturating_sub(text.len());
        left > 0
    });
}

fn fit(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max || text.chars().any(is_unsafe_to_show) {
        *text = showable(text, bytes_max);
    }
    if text.is_empty() {
        text.push_str("\"\"");
    }
}

/// 16 KiB of one list of words. Why: all of them, the longest preimage and a message's other
/// content fit one request.
const LIST_BYTES_MAX: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: Evidence, expected: &Evidence) {
        let mut evidence = given;
        fit_evidence(&mut evidence);
        assert_eq!(&evidence, expected);
        let mut writer = Writer::new();
        write_evidence(&mut writer, &evidence);
        let bytes = writer.finish();
        assert_eq!(
            read_evidence(&mut Reader::new(&bytes)).as_ref(),
            Ok(expected)
        );
    }

    fn arguments(arguments: &[&str]) -> Evidence {
        Evidence {
            arguments: arguments.iter().map(|it| (*it).to_owned()).collect(),
            ..Evidence::default()
        }
    }

    #[test]
    fn words_are_cut_and_cleaned_to_what_a_message_takes() {
        check(Evidence::default(), &Evidence::default());
        check(
            arguments(&["ssh", "", "a\nb", "é\u{202e}"]),
            &arguments(&["ssh", "\"\"", "a?b", "é?"]),
        );
        let long = "x".repeat(ARGUMENT_BYTES_MAX + 1);
        check(arguments(&[&long]), &arguments(&[&long[1..]]));
        check(
            arguments(&vec!["x"; Evidence::ARGUMENTS_MAX + 1]),
            &arguments(&vec!["x"; Evidence::ARGUMENTS_MAX]),
        );
        let longest = "x".repeat(ARGUMENT_BYTES_MAX);
        check(
            arguments(&[longest.as_str(); 20]),
            &arguments(&[longest.as_str(); 15]),
        );
        let intent = |what: &str| Evidence {
            intent: Some(Intent {
                id: [7; 16],
                what: what.to_owned(),
                count: Some(14),
            }),
            is_background: true,
            ..Evidence::default()
        };
        check(intent("git\trebase"), &intent("git?rebase"));
        check(intent(""), &intent("\"\""));
    }
}
