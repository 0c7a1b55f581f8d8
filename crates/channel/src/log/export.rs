//! What an auditor is handed (`spec/audit.md` section 6).
