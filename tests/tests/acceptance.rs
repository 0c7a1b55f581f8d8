//! One test a script: `scripts/NAME.script` says what it is about.

use keystead_tests::{Result, play};

/// A test for each script; those of the second list need root.
macro_rules! scripts {
    ($($name:ident)* ; root: $($root:ident)*) => {
        $(#[test] fn $name() -> Result<()> { play(stringify!($name)) })*
        $(#[test] #[ignore = "needs root"] fn $root() -> Result<()> { play(stringify!($root)) })*
    };
}

scripts! {
    runner
    ; root:
}
