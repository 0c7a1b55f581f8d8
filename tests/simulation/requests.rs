//! A hundred thousand requests and more, as CI plays them each time.
//!
//! `KEYSTEAD_REQUESTS=N` asks for another number; `cargo xtask simulate
//! --requests N` sets it. Which seeds are run depends on the number alone.

use crate::logins::End;
use crate::seeds;
use crate::signing;
use crate::storm::Weather;

/// What all runs came to.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    requests: usize,
    signed: usize,
    failed: usize,
    given_up: usize,
}

#[test]
fn a_hundred_thousand() {
    let sums = seeds::until_enough(REQUESTS, |seed| {
        let weather = [Weather::Network, Weather::Everything][usize::try_from(seed % 2).unwrap()];
        let world = signing::check(seed, weather, STEPS);
        let sum = Sum {
            requests: world.logins.all.len(),
            signed: world.logins.count(End::Signature),
            failed: world.logins.count(End::Failure),
            given_up: world.logins.count(End::Nobody),
        };
        (sum.requests, sum)
    });
    let mut all = Sum::default();
    for sum in &sums {
        assert_eq!(sum.requests, sum.signed + sum.failed + sum.given_up);
        all.requests += sum.requests;
        all.signed += sum.signed;
        all.failed += sum.failed;
        all.given_up += sum.given_up;
    }
    println!("{} seeds: {all:?}", sums.len());
    // A storm in which nothing, or everything, comes through tests nothing.
    let few = all.requests / 20;
    assert!(all.signed > few && all.failed > few && all.given_up > few);
}

/// What CI plays in at most three minutes on two cores.
const REQUESTS: usize = 100_000;

/// Long enough for files that grow and for ids that come again.
const STEPS: usize = 120;
