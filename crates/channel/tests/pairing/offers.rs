//! Offers as people meet them: scanned, pasted, quoted, cut, too long.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead_channel::curve::PublicKey;
use keystead_channel::pairing::{LocalAddress, Offer, OfferError, RelayUrl};
use keystead_channel::wire::Fault;

use crate::common::{address, counting, name, relay, secret};

fn offer(called: &str, relay: Option<RelayUrl>, addresses: &[&str]) -> Offer {
    let addresses = addresses.iter().map(|it| address(it)).collect();
    let client = PublicKey::new(counting(1));
    Offer::new(client, secret(counting(0)), name(called), relay, addresses).unwrap()
}

fn check_same(pasted: &str, offer: &Offer) {
    let read = Offer::parse(pasted).unwrap();
    assert_eq!(read.link(), offer.link(), "{pasted:?}");
}

fn check_refused(pasted: &str, expected: OfferError) {
    assert_eq!(Offer::parse(pasted).err(), Some(expected), "{pasted:?}");
}

#[test]
fn whatever_a_person_may_paste_is_read() {
    let offer = offer("laptop", Some(relay()), &["192.0.2.7:4711"]);
    let link = offer.link();
    assert!(link.starts_with("https://relay.example.org/pair#"));
    let p = link.split_once('#').unwrap().1;
    let (head, tail) = link.split_at(60);
    for pasted in [
        link.clone(),
        format!("  {link}\n"),
        format!("\"{link}\""),
        format!("'{link}'"),
        format!("<{link}>"),
        format!("“{link}”"),
        format!("{head}\r\n  {tail}"),
        format!("{head}\u{200b}{tail}\u{feff}"),
        format!("Pair with me: {link}"),
        format!("keystead:pair#{p}"),
        format!("https://elsewhere.example/other#{p}"),
        format!("https://a.example/x#y#{p}"),
        format!("#{p}"),
        p.to_owned(),
    ] {
        check_same(&pasted, &offer);
    }
}

#[test]
fn other_texts_are_refused() {
    let link = offer("laptop", Some(relay()), &[]).link();
    check_refused("", OfferError::NotALink);
    check_refused("  \n", OfferError::NotALink);
    check_refused("keystead:pair#", OfferError::NotALink);
    check_refused("https://relay.example.org/pair", OfferError::NotALink);
    check_refused(&format!("{link}="), OfferError::NotALink);
    check_refused(&link.replace('#', "%23"), OfferError::NotALink);
    check_refused(&"A".repeat(20_000), OfferError::NotALink);
    let p = link.split_once('#').unwrap().1;
    let (cut, _) = p.split_at(p.len() / 4 * 4 - 4);
    check_refused(cut, OfferError::Damaged(Fault::Truncated));
    // Bits that no byte needs are zero, or one offer had two texts (RFC 4648 section 3.5).
    assert_eq!(p.len() % 4, 3);
    check_refused(&format!("{}f", &p[..p.len() - 1]), OfferError::NotALink);
    check_refused("oQAB", OfferError::Damaged(Fault::MissingKey(1)));
    check_refused("oQAC", OfferError::Newer(2));
    check_refused("oBABC", OfferError::NotALink);
}

#[test]
fn every_prefix_of_a_link_is_refused() {
    let link = offer("laptop", None, &["192.0.2.7:4711", "[::1]:1"]).link();
    for len in 0..link.len() {
        assert!(Offer::parse(&link[..len]).is_err(), "{len}");
    }
}

#[test]
fn offers_that_break_a_rule_are_refused() {
    let good = [
        &[0xa5, 0, 1, 1, 0x58, 32][..],
        &[7; 32],
        &[2, 0x50],
        &[8; 16],
        &[3, 0x61, b'n', 4],
    ]
    .concat();
    let check = |rest: &[u8], expected: Fault| {
        let text = URL_SAFE_NO_PAD.encode([good.as_slice(), rest].concat());
        check_refused(&text, OfferError::Damaged(expected));
    };
    check(
        &[0x68, b'h', b't', b't', b'p', b':', b'/', b'/', b'x', 0],
        Fault::LeftOver,
    );
    check(
        &[0x69, b'h', b't', b't', b'p', b':', b'/', b'/', b'x', b'/'],
        Fault::Address,
    );
    check(
        &[0x67, b'f', b't', b'p', b':', b'/', b'/', b'x'],
        Fault::Address,
    );
    check(&[0x40], Fault::Type);
    let neither = [
        &[0xa4, 0, 1, 1, 0x58, 32][..],
        &[7; 32],
        &[2, 0x50],
        &[8; 16],
        &[3, 0x61, b'n'],
    ];
    let text = URL_SAFE_NO_PAD.encode(neither.concat());
    check_refused(&text, OfferError::Damaged(Fault::MissingKey(4)));
}

#[test]
fn an_offer_names_a_way_and_not_too_many() {
    let make = |relay, addresses: Vec<LocalAddress>| {
        let client = PublicKey::new([1; 32]);
        Offer::new(client, secret([2; 16]), name("n"), relay, addresses).err()
    };
    assert_eq!(make(None, Vec::new()), Some(OfferError::NoWay));
    assert_eq!(make(None, vec![address("h:1"); 8]), None);
    let nine = make(Some(relay()), vec![address("h:1"); 9]);
    assert_eq!(nine, Some(OfferError::TooManyAddresses(9)));
}

#[test]
fn qr_texts_fit_a_terminal() {
    let long_name = "é".repeat(32);
    let long_relay = RelayUrl::new("https://relay.department.example.org:8443").unwrap();
    let mut eight = ["[2001:db8:1111:2222:3333:4444:5555:6666]:65535"; 8];
    eight[6] = "192.168.178.100:65535";
    for offer in [
        offer("laptop", Some(relay()), &eight),
        offer(&long_name, Some(relay()), &eight),
        offer(&long_name, Some(long_relay), &[]),
        offer("laptop", None, &eight),
        offer(&long_name, None, &eight),
        offer(&long_name, None, &["[fd00::1234:5678]:4711"]),
        offer("x", None, &["h:1"]),
    ] {
        let text = offer.qr_text().unwrap();
        assert!(text.len() <= 154, "{} bytes", text.len());
        assert!(text.starts_with("keystead:pair#"));
        let read = Offer::parse(&text).unwrap();
        assert_eq!(read.client(), offer.client());
        assert!(offer.name().as_str().starts_with(read.name().as_str()));
        assert_eq!(read.relay(), offer.relay());
        assert_eq!(read.addresses().is_empty(), offer.relay().is_some());
        assert!(
            read.addresses()
                .iter()
                .all(|it| offer.addresses().contains(it))
        );
    }
}

#[test]
fn an_offer_keeps_what_fits_the_qr_code() {
    let two = ["192.0.2.7:4711", "10.0.0.7:4711"];
    let offer = offer("laptop", None, &two);
    let read = Offer::parse(&offer.qr_text().unwrap()).unwrap();
    assert_eq!(read.addresses(), offer.addresses());
    assert_eq!(read.name(), offer.name());
}

#[test]
fn a_relay_that_no_qr_code_holds_is_said() {
    let url = format!("https://{}.example", "r".repeat(90));
    let offer = offer("laptop", Some(RelayUrl::new(&url).unwrap()), &[]);
    assert_eq!(offer.qr_text(), Err(OfferError::TooLongForQr));
    check_same(&offer.link(), &offer);
    let longest = format!("https://{}", "r".repeat(35));
    let offer = self::offer("x", Some(RelayUrl::new(&longest).unwrap()), &[]);
    assert_eq!(offer.qr_text().map(|it| it.len()), Ok(154));
}

#[test]
fn relay_urls() {
    for (text, expected) in [
        ("https://relay.example.org", Ok("https://relay.example.org")),
        (
            "https://relay.example.org/",
            Ok("https://relay.example.org"),
        ),
        ("http://127.0.0.1:8080", Ok("http://127.0.0.1:8080")),
        ("https://[::1]:8443/base//", Ok("https://[::1]:8443/base")),
        ("relay.example.org", Err(OfferError::RelayUrl)),
        ("ftp://relay.example.org", Err(OfferError::RelayUrl)),
        ("https://", Err(OfferError::RelayUrl)),
        ("https:///x", Err(OfferError::RelayUrl)),
        ("https://:80", Err(OfferError::RelayUrl)),
        ("https://a b", Err(OfferError::RelayUrl)),
        ("https://a#b", Err(OfferError::RelayUrl)),
        ("https://a?b", Err(OfferError::RelayUrl)),
        ("https://user@a", Err(OfferError::RelayUrl)),
        ("https://a\u{202e}b", Err(OfferError::RelayUrl)),
        ("HTTPS://a", Err(OfferError::RelayUrl)),
    ] {
        let read = RelayUrl::new(text);
        assert_eq!(
            read.as_ref().map(RelayUrl::as_str),
            expected.as_ref().copied(),
            "{text}"
        );
    }
    assert!(RelayUrl::new(&format!("https://{}", "r".repeat(504))).is_ok());
    assert!(RelayUrl::new(&format!("https://{}", "r".repeat(505))).is_err());
}

#[test]
fn local_addresses() {
    for text in [
        "192.0.2.7:4711",
        "[::1]:1",
        "[fe80::1%eth0]:65535",
        "host.local:22",
    ] {
        assert_eq!(
            LocalAddress::new(text).map(|it| it.to_string()),
            Ok(text.into())
        );
    }
    for text in [
        "",
        ":1",
        "host",
        "host:",
        "host:0",
        "host:65536",
        "host:+1",
        "host:01",
        "::1:22",
        "[]:1",
        "a b:1",
        "a/b:1",
        "host:22\n",
    ] {
        assert_eq!(LocalAddress::new(text), Err(OfferError::Address), "{text}");
    }
}
