//! A proxy that ends TLS between a client and the real key server, with a certificate that
//! the client trusts: what it can do to bound sessions, and to those that are not.

#[cfg(test)]
mod bound;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod unbound;
#[cfg(test)]
mod world;
