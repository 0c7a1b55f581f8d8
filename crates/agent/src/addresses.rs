//! This machine's addresses, for an offer that no relay carries.

use std::net::{IpAddr, SocketAddr};

/// Addresses that another machine may reach, IPv4 first; loopback only when there is nothing
/// else (a try on one machine). Ports are 0: whoever listens takes free ones.
#[must_use]
pub fn own() -> Vec<SocketAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "the network interfaces cannot be listed");
        Vec::new()
    });
    choose(interfaces.iter().map(if_addrs::Interface::ip).collect())
}

fn choose(addresses: Vec<IpAddr>) -> Vec<SocketAddr> {
    let (loopback, mut outside): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.into_iter().partition(IpAddr::is_loopback);
    outside.retain(|address| match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified(),
        // A link-local address means nothing without the name of an interface of ours.
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_unspecified(),
    });
    let mut chosen = if outside.is_empty() {
        loopback
    } else {
        outside
    };
    chosen.sort_by_key(IpAddr::is_ipv6);
    chosen.dedup();
    chosen.truncate(ADDRESSES_MAX);
    chosen
        .into_iter()
        .map(|ip| SocketAddr::new(ip, 0))
        .collect()
}

/// `spec/pairing.md` section 1: an offer names at most 8.
const ADDRESSES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(addresses: &[&str], expected: &[&str]) {
        let parsed = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let chosen: Vec<String> = choose(parsed)
            .iter()
            .map(|it| it.ip().to_string())
            .collect();
        assert_eq!(chosen, expected);
    }

    #[test]
    fn addresses_that_others_reach() {
        check(&[], &[]);
        check(&["127.0.0.1", "::1"], &["127.0.0.1", "::1"]);
        check(&["127.0.0.1", "fe80::1"], &["127.0.0.1"]);
        check(
            &["127.0.0.1", "fd00::2", "169.254.0.1", "192.168.0.9"],
            &["192.168.0.9", "fd00::2"],
        );
        let many: Vec<String> = (1..20).map(|last| format!("10.0.0.{last}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        check(&many, &many[..8]);
    }
}
