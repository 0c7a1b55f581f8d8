//! How the device was set up, and what its person does.

/// What is said of it as it is started.
pub(super) struct Setup {
    pub(super) words: String,
    pub(super) model: String,
    pub(super) version: [u64; 3],
    pub(super) pin: Option<String>,
    pub(super) has_passphrase: bool,
    /// It never asks the computer for the passphrase.
    pub(super) is_passphrase_on_device: bool,
    pub(super) state: State,
    pub(super) decide: Decide,
}

/// What the device is good for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ready,
    /// It has no seed.
    Empty,
    /// It runs its loader.
    Loader,
    /// It speaks the newer protocol alone.
    NewProtocol,
    /// It is in the middle of something of its own.
    Busy,
}

impl Default for Setup {
    fn default() -> Self {
        // trezor-firmware's own words for tests.
        let words = "alcohol woman abuse must during monitor noble actual mixed trade anger aisle";
        Self {
            words: words.to_owned(),
            model: "T".to_owned(),
            version: [2, 6, 0],
            pin: None,
            has_passphrase: false,
            is_passphrase_on_device: false,
            state: State::Ready,
            decide: Decide::Yes,
        }
    }
}

impl Setup {
    pub(super) fn is_first_model(&self) -> bool {
        self.model == "1"
    }

    /// Before sessions had ids (1.9.0 and 2.3.0; `docs/common/communication/passphrase.md`).
    pub(super) fn is_old(&self) -> bool {
        self.is_before([1, 9, 0], [2, 3, 0])
    }

    /// A passphrase that came from the computer is shown, and confirmed (both changelogs).
    pub(super) fn shows_passphrase(&self) -> bool {
        !self.is_before([1, 9, 3], [2, 3, 3])
    }

    fn is_before(&self, of_first: [u64; 3], of_others: [u64; 3]) -> bool {
        let since = if self.is_first_model() {
            of_first
        } else {
            of_others
        };
        self.version < since
    }
}

/// What the person does at the button, or the device in the place of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Decide {
    Yes,
    No,
    Never,
    /// The cable is pulled.
    Unplug,
    /// Bytes that are no message.
    Garbage,
    /// A signature with a wrong bit.
    False,
    /// A signature of another key.
    Other,
}

impl Decide {
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "yes" => Some(Self::Yes),
            "no" => Some(Self::No),
            "never" => Some(Self::Never),
            "unplug" => Some(Self::Unplug),
            "garbage" => Some(Self::Garbage),
            "false" => Some(Self::False),
            "other" => Some(Self::Other),
            _ => None,
        }
    }
}

impl State {
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "ready" => Some(Self::Ready),
            "empty" => Some(Self::Empty),
            "loader" => Some(Self::Loader),
            "new-protocol" => Some(Self::NewProtocol),
            "busy" => Some(Self::Busy),
            _ => None,
        }
    }
}
