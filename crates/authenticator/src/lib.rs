//! Shows a request in human words, takes the decision, signs
