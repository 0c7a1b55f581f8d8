//! A relay that replays, reflects, reorders and drops, between the real
//! programs: logins come through, and each is signed once.

#[cfg(test)]
mod liar;
#[cfg(test)]
mod logins;
