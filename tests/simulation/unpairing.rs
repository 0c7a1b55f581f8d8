//! Unpairing: either side says so, the other learns it, and the keys are gone.
