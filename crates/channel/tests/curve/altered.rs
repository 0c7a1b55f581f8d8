//! A handshake whose frames were altered, cut, repeated or exchanged on their way.

use keystead_channel::curve::{Offer, Refusal};

use super::common::{NOW, Pair, full, rng};

#[test]
fn every_flipped_bit_ends_the_handshake() {
    for offer in [Offer::Strict, full()] {
        let pair = Pair::new(&offer);
        for flipped in 1..=3 {
            let mut bits = 8 * 83;
            let mut bit = 0;
            while bit < bits {
                let refusal = pair
                    .meet_through(|index, frame| {
                        if index == flipped {
                            bits = 8 * frame.len();
                            frame[bit / 8] ^= 1 << (bit % 8);
                        }
                    })
                    .err();
                let refusal = refusal.unwrap_or_else(|| panic!("frame {flipped}, bit {bit}"));
                check_flip(flipped, bit, refusal);
                bit += 1;
            }
        }
    }
}

/// Which reasons a flipped bit may have, by the place it is in.
fn check_flip(flipped: usize, bit: usize, refusal: Refusal) {
    let expected: &[Refusal] = match (flipped, bit / 8) {
        (_, 0 | 1) => &[Refusal::Length],
        (_, 2) => &[Refusal::Type, Refusal::Order],
        // X25519 ignores the top bit of a key: the Hello opens, and V tells.
        (1, 34) if bit % 8 == 7 => &[Refusal::EcMismatch],
        (1, _) => &[Refusal::HelloBox],
        (2, _) => &[Refusal::CookieBox],
        _ => &[Refusal::VouchBox],
    };
    assert!(
        expected.contains(&refusal),
        "frame {flipped}, bit {bit}: {refusal:?}"
    );
}

#[test]
fn every_prefix_and_every_surplus_byte_is_length() {
    for offer in [Offer::Strict, full()] {
        let pair = Pair::new(&offer);
        for altered in 1..=3 {
            let mut len = 0;
            let mut whole = 1;
            while len <= whole {
                let refusal = pair
                    .meet_through(|index, frame| {
                        if index == altered {
                            whole = frame.len();
                            if len < whole {
                                frame.truncate(len);
                            } else {
                                frame.push(0);
                            }
                        }
                    })
                    .err();
                assert_eq!(refusal, Some(Refusal::Length), "frame {altered}, {len}");
                len += 1;
            }
        }
    }
}

#[test]
fn frames_out_of_their_place_are_refused() {
    let pair = Pair::new(&full());
    let (client, hello) = pair.start(1).unwrap();
    // Reflected.
    assert_eq!(
        client.receive(&hello, NOW, &mut rng(3)).err(),
        Some(Refusal::Order)
    );
    let (_, server, cookie) = pair.hello();
    assert_eq!(server.receive(&cookie, NOW).err(), Some(Refusal::Order));
    // Repeated.
    let (_, server, _) = pair.hello();
    assert_eq!(server.receive(&hello, NOW).err(), Some(Refusal::Order));
    // Of another handshake between the same two.
    let (client, _, cookie) = pair.hello();
    let (_, vouch) = client.receive(&cookie, NOW, &mut rng(3)).unwrap();
    let (server, _) = pair
        .await_hello()
        .receive(&hello, NOW, &mut rng(20))
        .unwrap();
    assert_eq!(server.receive(&vouch, NOW).err(), Some(Refusal::VouchBox));
    let (other, _) = pair.start(10).unwrap();
    assert_eq!(
        other.receive(&cookie, NOW, &mut rng(3)).err(),
        Some(Refusal::CookieBox)
    );
    // Established ends take none of them.
    let (mut client, mut server) = pair.meet();
    assert_eq!(client.open(&mut cookie.clone(), NOW), Err(Refusal::Order));
    assert_eq!(server.open(&mut vouch.clone(), NOW), Err(Refusal::Order));
}

#[test]
fn a_repeated_hello_gets_another_cookie() {
    let pair = Pair::new(&full());
    let (_, hello) = pair.start(1).unwrap();
    let answer = |seed| {
        pair.await_hello()
            .receive(&hello, NOW, &mut rng(seed))
            .unwrap()
            .1
    };
    assert_ne!(answer(2)[3..], answer(3)[3..]);
}

#[test]
fn a_list_cut_off_on_its_way_is_not_a_way_down() {
    // Whoever shortens Hello or Cookie ack breaks a box.
    let pair = Pair::new(&full());
    for cut in [1, 2] {
        let refusal = pair
            .meet_through(|index, frame| {
                if index == cut {
                    let list_bytes = 13;
                    frame.truncate(frame.len() - list_bytes);
                    let len = u16::try_from(frame.len() - 2).unwrap();
                    frame[..2].copy_from_slice(&len.to_be_bytes());
                }
            })
            .err();
        let expected = [Refusal::HelloBox, Refusal::CookieBox][cut - 1];
        assert_eq!(refusal, Some(expected));
    }
}
