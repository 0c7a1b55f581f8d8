//! The decoders for GnuPG.

use keystead_formats::assuan::{ClientLine, LineBuffer, ServerLine, line};
use keystead_formats::openpgp::digest::Digest;
use keystead_formats::openpgp::transfer::wanted_key;
use keystead_formats::openpgp::values::{Ciphertext, sethash};
use keystead_formats::openpgp::{
    Arrived, PublicKey, Trailer, TransferError, Transferable, Transferred, armor,
};
use keystead_formats::sexp::{BYTES_MAX, Sexp};

/// Lines come out within their limit, and data comes back.
pub(crate) fn assuan(bytes: &[u8]) {
    let mut buffer = LineBuffer::new();
    let mut rest = bytes;
    while let Some(read) = buffer.next_line(&mut rest) {
        let Ok(read) = read else { continue };
        assert!(read.len() <= line::LINE_BYTES_MAX && !read.contains(&b'\n'));
        let _ = ServerLine::parse(read);
        if let Ok(ClientLine::Data(data)) = ClientLine::parse(read)
            && let Ok(plain) = line::unescape(data)
        {
            assert!(plain.len() <= data.len());
        }
        let _ = line::unescape_plus(read);
        let _ = sethash(read);
    }
    assert!(rest.is_empty());
    for written in line::data(bytes).split_inclusive(|byte| *byte == b'\n') {
        assert!(written.len() <= line::LINE_BYTES_MAX + 1);
    }
    assert_eq!(line::secret_data(bytes).expose(), line::data(bytes));
}

/// What is canonical is written back; what is read in another form has a canonical one.
pub(crate) fn sexp(bytes: &[u8]) {
    if let Ok(sexp) = Sexp::parse_canonical(bytes) {
        assert_eq!(sexp.encode(), bytes);
    }
    if let Ok(sexp) = Sexp::parse(bytes) {
        let written = sexp.encode();
        // Quotation may shorten what is written; then it cannot be read back.
        if written.len() <= BYTES_MAX {
            assert_eq!(Sexp::parse_canonical(&written).as_ref(), Ok(&sexp));
        }
    }
    let _ = Ciphertext::parse(bytes);
    let _ = wanted_key(bytes);
}

/// A private key that comes, wrapped or not, open or under a passphrase: what is read has two
/// halves of one length, and the public one is as keepers name it.
pub(crate) fn transfer(bytes: &[u8]) {
    for arrived in [
        Transferred::read(bytes),
        Transferred::unwrap(&WRAPPING, bytes),
    ] {
        let key = match arrived {
            Ok(Arrived::Open(key)) => key,
            Ok(Arrived::Protected(key)) => match key.open(b"abc") {
                Ok(key) => key,
                Err(error) => {
                    let of_opening = [TransferError::Passphrase, TransferError::Malformed];
                    assert!(of_opening.contains(&error), "{error}");
                    continue;
                }
            },
            Err(_) => continue,
        };
        let again = PublicKey::of_keeper(key.algorithm(), key.public_key());
        assert_eq!(again.as_ref(), Ok(key.public()));
        let len = key.pkcs8().len();
        assert!(PEM_BYTES.contains(&len), "{len}");
    }
}

/// A key keeps its bytes; a trailer is found again in what it is written into.
pub(crate) fn key(bytes: &[u8]) {
    if let Ok(key) = Transferable::read(bytes) {
        let armoured = key.armor();
        let block = armor::Block::PublicKey;
        assert_eq!(armor::read(block, &armoured).as_deref(), Ok(key.bytes()));
        for packet in std::iter::once(key.primary()).chain(key.subkeys()) {
            let _ = packet.key().map(|key| (key.keygrip(), key.sexp()));
        }
    }
    if let Ok((document, trailer)) = Trailer::split(bytes) {
        let hashed = [document, &trailer.encode()].concat();
        assert_eq!(Trailer::split(&hashed), Ok((document, trailer)));
    }
    if let Ok(digest) = Digest::parse(bytes) {
        assert_eq!(digest.encode(), bytes);
    }
}

/// Of the stored inputs.
const WRAPPING: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// PKCS#8 of the Curve25519 family, and of P-256, as PEM.
const PEM_BYTES: [usize; 2] = [168, 241];
