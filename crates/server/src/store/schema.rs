//! Migrations and the SQL that both databases share.
