//! Acts that wait for an approver.
