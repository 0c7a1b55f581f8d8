//! The list of extensions at the end of a handshake plaintext: elements
//! `id u8 ‖ len u16 ‖ value`, ids strictly ascending (`spec/curve.md`
//! section 5, *List* and *Choice*).
//!
//! **Invariant**: a list is read whole or refused; nothing in it is guessed.

use super::extension::{Aead, Extension, ExtensionSet, Offer, Profile, closed_part};
use super::limits::AEAD_OFFER_MAX;
use super::refusal::Refusal;

/// Appends the client's offer.
pub(super) fn push_offer(offer: &Offer, out: &mut Vec<u8>) {
    let extensions = offer.extensions();
    for extension in Extension::ALL {
        if extensions.has(extension) {
            match extension {
                Extension::Bind | Extension::Rekey | Extension::Pad => {
                    push(extension.id(), &[], out);
                }
                Extension::Aead => {
                    let numbers: Vec<u8> = offer
                        .aeads()
                        .iter()
                        .take(AEAD_OFFER_MAX)
                        .map(|aead| aead.number())
                        .collect();
                    push(extension.id(), &numbers, out);
                }
            }
        }
    }
}

/// The server's choice among what the list of a Hello offers.
pub(super) fn choose(list: &[u8], wanted: &Offer) -> Result<Profile, Refusal> {
    let mut offered = ExtensionSet::NONE;
    let mut aead = None;
    for element in elements(list) {
        let (id, value) = element?;
        match Extension::of(id) {
            Some(extension @ (Extension::Bind | Extension::Rekey | Extension::Pad)) => {
                expect_empty(value)?;
                offered = offered.with(extension);
            }
            Some(Extension::Aead) => {
                if value.is_empty() || value.len() > AEAD_OFFER_MAX {
                    return Err(Refusal::Extension);
                }
                offered = offered.with(Extension::Aead);
                aead = value
                    .iter()
                    .filter_map(|number| Aead::of(*number))
                    .find(|aead| wanted.aeads().contains(aead));
            }
            None if id < MUST_BE_KNOWN => {}
            None => return Err(Refusal::Extension),
        }
    }
    if !offered.is_closed() {
        return Err(Refusal::Extension);
    }
    let mut chosen = offered.and(wanted.extensions());
    if aead.is_none() {
        chosen = chosen.without(Extension::Aead);
    }
    let extensions = closed_part(chosen);
    Ok(Profile {
        extensions,
        aead: aead.filter(|_| extensions.has(Extension::Aead)),
    })
}

/// Appends the server's choice.
pub(super) fn push_choice(profile: &Profile, out: &mut Vec<u8>) {
    for extension in Extension::ALL {
        if profile.has(extension) {
            match extension {
                Extension::Bind | Extension::Rekey | Extension::Pad => {
                    push(extension.id(), &[], out);
                }
                Extension::Aead => {
                    let number = profile.aead().map(Aead::number);
                    push(extension.id(), number.as_slice(), out);
                }
            }
        }
    }
}

/// What the list of a Cookie ack chose of `offer`.
pub(super) fn read_choice(list: &[u8], offer: &Offer) -> Result<Profile, Refusal> {
    let mut profile = Profile::default();
    for element in elements(list) {
        let (id, value) = element?;
        let extension = Extension::of(id)
            .filter(|extension| offer.extensions().has(*extension))
            .ok_or(Refusal::Extension)?;
        match extension {
            Extension::Bind | Extension::Rekey | Extension::Pad => expect_empty(value)?,
            Extension::Aead => {
                let aead = match value {
                    [number] => Aead::of(*number),
                    _ => None,
                };
                let aead = aead.filter(|aead| offer.aeads().contains(aead));
                profile.aead = Some(aead.ok_or(Refusal::Extension)?);
            }
        }
        profile.extensions = profile.extensions.with(extension);
    }
    if profile.extensions.is_closed() {
        Ok(profile)
    } else {
        Err(Refusal::Extension)
    }
}

/// Appends the one element of a Vouch that has a value there.
pub(super) fn push_proof(proof: &[u8; PROOF_BYTES], out: &mut Vec<u8>) {
    push(Extension::Bind.id(), proof, out);
}

/// The proof in the list of a Vouch: there where `bind` was chosen, and
/// nothing else there whatever was.
pub(super) fn read_proof<'l>(
    list: &'l [u8],
    profile: &Profile,
) -> Result<Option<&'l [u8; PROOF_BYTES]>, Refusal> {
    let mut proof = None;
    for element in elements(list) {
        let (id, value) = element?;
        match Extension::of(id).filter(|extension| profile.has(*extension)) {
            Some(Extension::Bind) => {
                proof = Some(value.try_into().map_err(|_| Refusal::Extension)?);
            }
            Some(Extension::Rekey | Extension::Pad | Extension::Aead) | None => {
                return Err(Refusal::Extension);
            }
        }
    }
    if proof.is_some() == profile.has(Extension::Bind) {
        Ok(proof)
    } else {
        Err(Refusal::Extension)
    }
}

fn push(id: u8, value: &[u8], out: &mut Vec<u8>) {
    // Every value here is a constant's length, far below 65,536.
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.push(id);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(value);
}

fn expect_empty(value: &[u8]) -> Result<(), Refusal> {
    if value.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Extension)
    }
}

/// The elements of a list; the first that breaks a rule ends it.
fn elements(list: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), Refusal>> {
    let mut rest = list;
    let mut last_id = None;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let element = split_element(rest).filter(|(id, ..)| last_id < Some(*id));
        let Some((id, value, behind)) = element else {
            rest = &[];
            return Some(Err(Refusal::Extension));
        };
        (last_id, rest) = (Some(id), behind);
        Some(Ok((id, value)))
    })
}

fn split_element(list: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[id, high, low], rest) = list.split_first_chunk::<3>()?;
    let len = usize::from(u16::from_be_bytes([high, low]));
    let (value, behind) = rest.split_at_checked(len)?;
    Some((id, value, behind))
}

/// Ids from here up abort a Hello when unknown; below they are passed over.
const MUST_BE_KNOWN: u8 = 0x80;

/// `bind` in Vouch: R16 ‖ Box[T].
pub(super) const PROOF_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn standard() -> Offer {
        Offer::Listed {
            extensions: ExtensionSet::NONE
                .with(Extension::Bind)
                .with(Extension::Rekey)
                .with(Extension::Aead)
                .with(Extension::Pad),
            aeads: vec![Aead::Aes256Gcm, Aead::ChaCha20Poly1305],
        }
    }

    #[track_caller]
    fn check_hello(list: &[u8], expected: Result<(&[Extension], Option<Aead>), Refusal>) {
        let expected = expected.map(|(extensions, aead)| Profile {
            extensions: extensions
                .iter()
                .fold(ExtensionSet::NONE, |set, extension| set.with(*extension)),
            aead,
        });
        assert_eq!(choose(list, &standard()), expected, "{list:02x?}");
    }

    #[test]
    fn the_server_chooses_of_what_is_offered() {
        use Extension::{Aead as A, Bind, Pad, Rekey};
        check_hello(&[], Ok((&[], None)));
        check_hello(&[1, 0, 0], Ok((&[Bind], None)));
        check_hello(&[6, 0, 0], Ok((&[Pad], None)));
        check_hello(
            &[1, 0, 0, 3, 0, 0, 6, 0, 0, 9, 0, 2, 2, 1],
            Ok((&[Bind, Rekey, Pad, A], Some(Aead::ChaCha20Poly1305))),
        );
        // Unknown algorithms are passed over; none in common is no aead.
        check_hello(
            &[1, 0, 0, 9, 0, 2, 77, 1],
            Ok((&[Bind, A], Some(Aead::Aes256Gcm))),
        );
        check_hello(&[1, 0, 0, 9, 0, 1, 77], Ok((&[Bind], None)));
        // pq, resume and mux of a later version are passed over.
        check_hello(
            &[1, 0, 0, 2, 0, 1, 5, 4, 0, 0, 5, 0, 0, 0x7f, 0, 0],
            Ok((&[Bind], None)),
        );
    }

    #[test]
    fn a_hello_that_breaks_a_rule_is_refused() {
        for list in [
            &[0x80, 0, 0][..],                              // unknown, must be known
            &[0xff, 0, 0],                                  //
            &[1, 0, 0, 1, 0, 0],                            // repeated
            &[6, 0, 0, 1, 0, 0],                            // out of order
            &[1, 0, 1, 0],                                  // wrong length
            &[1, 0, 0, 9, 0, 0],                            // no algorithm
            &[1, 0, 0, 9, 0, 9, 2, 2, 2, 2, 2, 2, 2, 2, 2], // nine
            &[3, 0, 0],                                     // without bind
            &[9, 0, 1, 2],                                  // without bind
            &[1],                                           // cut
            &[1, 0],                                        //
            &[1, 0, 0, 6, 0, 1],                            //
            &[1, 0, 0, 0],                                  // left over
        ] {
            check_hello(list, Err(Refusal::Extension));
        }
    }

    #[test]
    fn unwanted_extensions_are_not_chosen() {
        let wanted = Offer::Listed {
            extensions: ExtensionSet::NONE.with(Extension::Pad),
            aeads: vec![],
        };
        let profile = choose(&[1, 0, 0, 3, 0, 0, 6, 0, 0, 9, 0, 1, 2], &wanted).unwrap();
        assert_eq!(profile.extensions, ExtensionSet::NONE.with(Extension::Pad));
        assert_eq!(profile.aead, None);
    }

    #[test]
    fn a_choice_travels() {
        let mut hello = vec![];
        push_offer(&standard(), &mut hello);
        assert_eq!(hello, [1, 0, 0, 3, 0, 0, 6, 0, 0, 9, 0, 2, 1, 2]);
        let chosen = choose(&hello, &standard()).unwrap();
        let mut answer = vec![];
        push_choice(&chosen, &mut answer);
        assert_eq!(answer, [1, 0, 0, 3, 0, 0, 6, 0, 0, 9, 0, 1, 1]);
        assert_eq!(read_choice(&answer, &standard()), Ok(chosen));
        for len in 0..answer.len() {
            // A prefix is a list of its own only between elements.
            let read = read_choice(&answer[..len], &standard());
            assert_eq!(read.is_ok(), [0, 3, 6, 9].contains(&len), "{len}");
        }
    }

    #[test]
    fn a_choice_that_breaks_a_rule_is_refused() {
        let offer = Offer::Listed {
            extensions: ExtensionSet::NONE
                .with(Extension::Bind)
                .with(Extension::Aead),
            aeads: vec![Aead::ChaCha20Poly1305],
        };
        for list in [
            &[6, 0, 0][..],            // not offered
            &[2, 0, 0],                // not known, so not offered
            &[1, 0, 0, 3, 0, 0],       // not offered
            &[9, 0, 1, 2],             // without bind
            &[1, 0, 0, 9, 0, 1, 1],    // an algorithm not offered
            &[1, 0, 0, 9, 0, 2, 2, 2], // two
            &[1, 0, 0, 9, 0, 0],       // none
            &[1, 0, 1, 0],             // wrong length
            &[1, 0, 0, 1, 0, 0],       // repeated
            &[1, 0, 0, 0],             // left over
        ] {
            assert_eq!(
                read_choice(list, &offer),
                Err(Refusal::Extension),
                "{list:02x?}"
            );
        }
    }

    #[test]
    fn a_vouch_has_the_proof_alone() {
        let bound = Profile {
            extensions: ExtensionSet::NONE
                .with(Extension::Bind)
                .with(Extension::Pad),
            aead: None,
        };
        let base = Profile::default();
        let mut list = vec![];
        push_proof(&[7; 64], &mut list);
        assert_eq!(read_proof(&list, &bound), Ok(Some(&[7; 64])));
        assert_eq!(read_proof(&[], &base), Ok(None));
        for (list, profile) in [
            (&[][..], bound),                                 // lacks the proof
            (&list, base),                                    // bind was not chosen
            (&list[..66], bound),                             // cut
            (&[list.clone(), vec![6, 0, 0]].concat(), bound), // pad has no value there
            (&[1, 0, 1, 0], bound),                           // wrong length
            (&[list.clone(), vec![0]].concat(), bound),       // left over
        ] {
            assert_eq!(read_proof(list, &profile), Err(Refusal::Extension));
        }
    }
}
