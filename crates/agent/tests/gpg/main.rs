//! Conversations of gpg with its agent, as they were recorded of gpg 2.2.40 and gpg-agent 2.2.40,
//! with keys in them that keepers hold; and what no gpg says.
#![cfg(test)]

mod bringing;
mod map;
mod ours;
mod passing;
mod scene;
mod text;
mod without;
