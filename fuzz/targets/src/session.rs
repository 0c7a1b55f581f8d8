//! The decoders of `keystead_channel::session`.

use keystead_channel::session::requests::{Answer, Method, Receipt, Request};
use keystead_channel::session::{
    AccountName, ClientHello, Deframer, ErrorBody, Frame, InvitationLink, LoginStart, Notice,
    Password, REST_BYTES_MAX_BEFORE_LOGIN, RegisterStart, RegisterUpload, Resume, ServerHello,
    Ticket,
};

/// A stream before login: what is read is written back, and nothing long is taken.
pub(crate) fn frames(bytes: &[u8]) {
    let mut deframer = Deframer::new();
    let mut written = Vec::new();
    for chunk in bytes.chunks(97) {
        deframer.push(chunk);
        while let Ok(Some(rest)) = deframer.next_rest() {
            assert!(rest.len() <= REST_BYTES_MAX_BEFORE_LOGIN);
            let Ok(frame) = Frame::decode(&rest) else {
                return;
            };
            written.extend(frame.encode());
            assert!(bytes.starts_with(&written));
        }
    }
}

/// What is read is written back, whatever body it is taken for.
pub(crate) fn set_up(bytes: &[u8]) {
    let again = [
        ClientHello::decode(bytes).map(|it| it.encode()),
        ServerHello::decode(bytes).map(|it| it.encode()),
        RegisterStart::decode(bytes).map(|it| it.encode()),
        RegisterUpload::decode(bytes).map(|it| it.encode()),
        LoginStart::decode(bytes).map(|it| it.encode()),
        Resume::decode(bytes).map(|it| it.encode()),
        ErrorBody::decode(bytes).map(|it| it.encode()),
        Notice::decode(bytes).map(|it| it.encode()),
        Receipt::decode(bytes).map(|it| it.encode()),
    ];
    for again in again.into_iter().flatten() {
        assert_eq!(again, bytes);
    }
}

/// The first byte is the method.
pub(crate) fn request(bytes: &[u8]) {
    let Some((method, plain)) = method(bytes) else {
        return;
    };
    if let Ok((id, request)) = Request::decode(method, plain) {
        assert_eq!(request.encode(id), plain);
        assert_eq!(request.method(), method);
    }
}

/// The first byte is the method.
pub(crate) fn answer(bytes: &[u8]) {
    let Some((method, plain)) = method(bytes) else {
        return;
    };
    if let Ok(answer) = Answer::decode(method, plain) {
        assert_eq!(answer.encode(), plain);
    }
}

/// What a person pastes: what is read is written as the link that is read again.
pub(crate) fn invitation(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(link) = InvitationLink::parse(&text) {
        assert!(InvitationLink::is_one(&text));
        let written = link.encode();
        let again = InvitationLink::parse(&written).map(|it| it.encode());
        assert_eq!(again, Ok(written));
    }
}

/// The bytes of a ticket, and of nothing else.
pub(crate) fn ticket(bytes: &[u8]) {
    if let Ok(ticket) = Ticket::decode(bytes) {
        assert_eq!(ticket.encode().expose(), bytes);
    }
}

/// A name in its one spelling stays what it is.
pub(crate) fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(name) = AccountName::canonicalise(&text) {
        assert_eq!(AccountName::parse(name.as_str()), Ok(name));
    }
    let _ = Password::new(&text);
}

fn method(bytes: &[u8]) -> Option<(Method, &[u8])> {
    let (number, plain) = bytes.split_first()?;
    Some((Method::from_number(u64::from(*number))?, plain))
}
