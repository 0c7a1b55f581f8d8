//! The same cases on SQLite and on a PostgreSQL of our own.

mod cases;
mod place;
mod postgres;
mod proxy;
mod sqlite;

use place::Place;
