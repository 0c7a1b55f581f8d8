//! Same id, same answer: the table of answers against a model without limits.

use std::collections::BTreeMap;

use keystead_channel::link::answers::{
    Answers, FORGET_MS, KEEP_MS, KEPT_BYTES_MAX, PENDING_MAX, Verdict,
};
use keystead_core::{RequestHash, RequestId};

/// What the model knows of an id.
#[derive(Clone)]
struct Model {
    hash: u8,
    keep_until_ms: u64,
    /// The answer and when it left.
    answer: Option<(Vec<u8>, u64)>,
}

/// Three bytes a step: what happens, to which id, and a number for it.
pub(crate) fn answers(bytes: &[u8]) {
    let mut answers = Answers::default();
    let mut model = BTreeMap::<u8, Model>::new();
    let mut now_ms = 0;
    for step in bytes.chunks_exact(3) {
        let &[what, id, number] = step else {
            continue;
        };
        match what % 8 {
            0 => now_ms += u64::from(number) * 10_000,
            1 => now_ms += u64::from(number) * 1_000_000,
            2..=4 => arrive(&mut answers, &mut model, now_ms, id, number),
            _ => answer(&mut answers, &mut model, now_ms, id, number),
        }
    }
}

fn request_id(id: u8) -> RequestId {
    RequestId([id; 16])
}

fn arrive(answers: &mut Answers, model: &mut BTreeMap<u8, Model>, now_ms: u64, id: u8, number: u8) {
    // Two hashes are enough to tell same bytes from others.
    let hash = number % 2;
    let verdict = answers.arrive(now_ms, request_id(id), RequestHash([hash; 32]), 60);
    let forgotten = |it: &Model| {
        let forget_ms = it.answer.as_ref().map(|(_, left_ms)| left_ms + FORGET_MS);
        forget_ms.is_some_and(|forget_ms| now_ms >= forget_ms.max(it.keep_until_ms))
    };
    if model.get(&id).is_some_and(forgotten) {
        model.remove(&id);
    }
    let pending = model.values().filter(|it| it.answer.is_none()).count();
    let expected = match model.get(&id) {
        None if pending >= PENDING_MAX => Verdict::Busy,
        None => {
            let keep_until_ms = now_ms + 60_000 + KEEP_MS;
            let answer = None;
            model.insert(
                id,
                Model {
                    hash,
                    keep_until_ms,
                    answer,
                },
            );
            Verdict::New
        }
        Some(known) if known.hash != hash => Verdict::Malformed,
        Some(Model { answer: None, .. }) => Verdict::Join,
        Some(Model { keep_until_ms, .. }) if now_ms >= *keep_until_ms => Verdict::Expired,
        Some(Model {
            answer: Some((answer, _)),
            ..
        }) => Verdict::Again(answer.clone()),
    };
    let kept: usize = model
        .values()
        .filter_map(|it| it.answer.as_ref())
        .map(|it| it.0.len())
        .sum();
    // Above its budget the table may have dropped an answer's bytes; never the id.
    let dropped = kept > KEPT_BYTES_MAX
        && verdict == Verdict::Expired
        && matches!(expected, Verdict::Again(_));
    assert!(dropped || verdict == expected);
    if verdict == Verdict::Expired {
        answer_expired(answers, model, now_ms, id);
    }
}

/// What the holder does at once with an id whose answer is gone.
fn answer_expired(answers: &mut Answers, model: &mut BTreeMap<u8, Model>, now_ms: u64, id: u8) {
    let response = b"expired".to_vec();
    assert!(answers.answer(now_ms, request_id(id), &response));
    assert!(!answers.answer(now_ms, request_id(id), &response));
    if let Some(known) = model.get_mut(&id)
        && let Some((answer, left_ms)) = &mut known.answer
    {
        *answer = response;
        // It is kept as long as the id.
        known.keep_until_ms = known.keep_until_ms.max(*left_ms + FORGET_MS);
    }
}

fn answer(answers: &mut Answers, model: &mut BTreeMap<u8, Model>, now_ms: u64, id: u8, number: u8) {
    // Seventeen of the longest exceed what is kept.
    let len = if number == u8::MAX { 262_144 } else { 1 };
    let response = vec![number; len];
    match model.get_mut(&id) {
        Some(known) if known.answer.is_none() => {
            assert!(answers.is_pending(&request_id(id)));
            assert!(answers.answer(now_ms, request_id(id), &response));
            assert!(!answers.answer(now_ms, request_id(id), &response));
            known.answer = Some((response, now_ms));
        }
        // An answered id is answered anew only behind `Expired`, above.
        Some(_) => assert!(!answers.is_pending(&request_id(id))),
        None => assert!(!answers.answer(now_ms, request_id(id), &response)),
    }
}
