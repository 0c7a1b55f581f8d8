//! The block that `keystead ssh setup` keeps in a client's configuration
//! (ssh_config(5)).
//!
//! **Invariant:** outside of the block between the two marker lines no byte of
//! the file changes, and taking the block away gives back the bytes that were
//! there before it was put in.
//!
//! The block stands last, because ssh takes the first value it finds: an
//! `IdentityAgent` that the person chose for some host stays in force. Of `IdentityFile` it takes
//! all: `none` in the block is for hosts whose lines name no file.

/// A configuration with the block in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithBlock {
    /// The whole file.
    pub config: Vec<u8>,
    /// The lines of the block, markers included.
    pub block: String,
    /// What was done to it.
    pub change: Change,
    /// Lines of the file, counted from 1, that name another agent for some
    /// hosts and come first there.
    pub other_agents: Vec<usize>,
}

/// What putting the block in did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Add,
    /// It was there, with other lines.
    Replace,
    /// It was there as it should be.
    Keep,
}

/// What becomes of key files that ssh reads itself, without any agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFiles {
    /// ssh tries the files that it tries by itself.
    Offer,
    /// It tries none but those that a line names.
    Ignore,
}

/// A configuration with the block taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithoutBlock {
    /// It was not there.
    Same,
    /// The bytes of the file now.
    Config(Vec<u8>),
    /// The file was made for the block, and nothing else is in it.
    NoFile,
}

/// Puts the block into `config`, which is `None` when there is no file.
///
/// # Errors
/// [`ConfigError`].
pub fn with_block(
    config: Option<&[u8]>,
    agent_socket: &str,
    key_files: KeyFiles,
) -> Result<WithBlock, ConfigError> {
    let before = config.unwrap_or_default();
    let Some(found) = Found::in_config(before)? else {
        let origin = match config {
            None => Origin::NoFile,
            Some(bytes) if bytes.is_empty() || bytes.ends_with(b"\n") => Origin::Whole,
            Some(_) => Origin::NoNewline,
        };
        let mut after = before.to_vec();
        if origin == Origin::NoNewline {
            after.push(b'\n');
        }
        if !after.is_empty() {
            after.push(b'\n');
        }
        let block = lines(agent_socket, key_files, origin)?;
        after.extend(block.as_bytes());
        return Ok(WithBlock {
            config: after,
            block,
            change: Change::Add,
            other_agents: other_agents(before, 0),
        });
    };
    let block = lines(agent_socket, key_files, found.origin)?;
    let change = if found.block == block.as_bytes() {
        Change::Keep
    } else {
        Change::Replace
    };
    let mut other_agents = other_agents(found.above, 0);
    other_agents.extend(self::other_agents(
        found.below,
        line_count(found.above) + line_count(found.block),
    ));
    Ok(WithBlock {
        config: [found.above, block.as_bytes(), found.below].concat(),
        block,
        change,
        other_agents,
    })
}

/// What the block in `config` says of key files; none where there is no block.
///
/// # Errors
/// [`ConfigError::Unpaired`].
pub fn key_files(config: &[u8]) -> Result<Option<KeyFiles>, ConfigError> {
    let is_none = |line: &[u8]| line == IGNORE_KEY_FILES.as_bytes();
    let found = Found::in_config(config)?;
    Ok(found.map(|found| {
        if found.block.split(|byte| *byte == b'\n').any(is_none) {
            KeyFiles::Ignore
        } else {
            KeyFiles::Offer
        }
    }))
}

/// Takes the block out of `config`.
///
/// # Errors
/// [`ConfigError::Unpaired`].
pub fn without_block(config: &[u8]) -> Result<WithoutBlock, ConfigError> {
    let Some(found) = Found::in_config(config)? else {
        return Ok(WithoutBlock::Same);
    };
    let mut above = found.above;
    // The empty line is ours; who took it out already keeps the rest.
    if above.ends_with(b"\n\n") {
        above = above.strip_suffix(b"\n").unwrap_or(above);
        if found.origin == Origin::NoNewline && found.below.is_empty() {
            above = above.strip_suffix(b"\n").unwrap_or(above);
        }
    }
    let rest = [above, found.below].concat();
    if rest.is_empty() && found.origin == Origin::NoFile {
        return Ok(WithoutBlock::NoFile);
    }
    Ok(WithoutBlock::Config(rest))
}

/// Why the block cannot be put in or taken out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Somebody edited the markers.
    #[error("the lines {BEGIN:?} and {END:?} do not stand once each, in this order")]
    Unpaired,
    /// The path has a character that ssh_config(5) has no way to write.
    #[error("the socket's path cannot be written in a client configuration: {0}")]
    Path(String),
}

impl ConfigError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unpaired => "take the lines between them, and them, out of the file by hand",
            Self::Path(_) => {
                "give the agent a socket without quotes, `${` or line breaks in its path"
            }
        }
    }
}

/// How the file was before the block was put in; the first marker says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Whole,
    NoNewline,
    NoFile,
}

impl Origin {
    const ALL: [Self; 3] = [Self::Whole, Self::NoNewline, Self::NoFile];

    fn note(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::NoNewline => "; the last line above had no line break",
            Self::NoFile => "; there was no file",
        }
    }

    fn marker(self) -> String {
        format!(
            "{BEGIN} (`keystead ssh setup --undo` takes it away{})",
            self.note()
        )
    }
}

/// A file with a block, in three parts.
struct Found<'a> {
    above: &'a [u8],
    block: &'a [u8],
    below: &'a [u8],
    origin: Origin,
}

impl<'a> Found<'a> {
    fn in_config(config: &'a [u8]) -> Result<Option<Self>, ConfigError> {
        let (mut start, mut end, mut origin) = (None, None, Origin::Whole);
        let mut at = 0;
        for line in config.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(BEGIN.as_bytes()) {
                if start.replace(at).is_some() {
                    return Err(ConfigError::Unpaired);
                }
                let is = |it: &Origin| line.trim_ascii_end() == it.marker().as_bytes();
                origin = Origin::ALL.into_iter().find(is).unwrap_or(Origin::Whole);
            }
            at += line.len();
            if line.starts_with(END.as_bytes()) && end.replace(at).is_some() {
                return Err(ConfigError::Unpaired);
            }
        }
        let (start, end) = match (start, end) {
            (None, None) => return Ok(None),
            (Some(start), Some(end)) if start < end => (start, end),
            _ => return Err(ConfigError::Unpaired),
        };
        let (rest, below) = config.split_at_checked(end).ok_or(ConfigError::Unpaired)?;
        let (above, block) = rest.split_at_checked(start).ok_or(ConfigError::Unpaired)?;
        Ok(Some(Self {
            above,
            block,
            below,
            origin,
        }))
    }
}

fn lines(agent_socket: &str, key_files: KeyFiles, origin: Origin) -> Result<String, ConfigError> {
    let unwritable = |c: char| c == '"' || c == '\\' || c.is_control();
    if agent_socket.chars().any(unwritable) || agent_socket.contains("${") {
        return Err(ConfigError::Path(agent_socket.escape_debug().to_string()));
    }
    // `%` starts a token (ssh_config(5), TOKENS).
    let path = agent_socket.replace('%', "%%");
    let marker = origin.marker();
    let mut block = format!("{marker}\nHost *\n  IdentityAgent \"{path}\"\n");
    if key_files == KeyFiles::Ignore {
        block.push_str(IGNORE_KEY_FILES);
        block.push('\n');
    }
    Ok(format!("{block}{END}\n"))
}

fn other_agents(config: &[u8], lines_above: usize) -> Vec<usize> {
    let names_agent = |line: &[u8]| {
        let keyword: Vec<u8> = line
            .trim_ascii_start()
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric())
            .map(u8::to_ascii_lowercase)
            .collect();
        keyword == b"identityagent"
    };
    let lines = config.split(|byte| *byte == b'\n').enumerate();
    lines
        .filter(|(_, line)| names_agent(line))
        .map(|(at, _)| lines_above + at + 1)
        .collect()
}

fn line_count(config: &[u8]) -> usize {
    config.split_inclusive(|byte| *byte == b'\n').count()
}

const BEGIN: &str = "# keystead: begin";

const END: &str = "# keystead: end";

/// No file stands for the ones that ssh tries by itself (ssh_config(5), `IdentityFile`).
const IGNORE_KEY_FILES: &str = "  IdentityFile none";

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET: &str = "/run/user/1000/keystead/agent/ssh.sock";

    const CONFIGS: [&[u8]; 9] = [
        b"",
        b"\n",
        b"\n\n",
        b"Host a\n  User b\n",
        b"Host a\n  User b",
        b"Host a\n\n",
        b"Host a\r\n  User b\r\n",
        b"# \xff not UTF-8\nHost a",
        b"IdentityAgent none\n",
    ];

    fn put(config: Option<&[u8]>) -> Vec<u8> {
        with_block(config, SOCKET, KeyFiles::Offer).unwrap().config
    }

    #[test]
    fn undo_gives_back_every_byte() {
        for config in CONFIGS {
            let with = put(Some(config));
            assert_eq!(
                without_block(&with),
                Ok(WithoutBlock::Config(config.to_vec()))
            );
        }
        assert_eq!(without_block(&put(None)), Ok(WithoutBlock::NoFile));
    }

    #[test]
    fn putting_it_in_twice_is_putting_it_in_once() {
        for config in CONFIGS.map(Some).into_iter().chain([None]) {
            let once = put(config);
            let twice = with_block(Some(&once), SOCKET, KeyFiles::Offer).unwrap();
            assert_eq!((twice.config, twice.change), (once, Change::Keep));
        }
    }

    #[test]
    fn another_socket_replaces_the_line_where_it_stands() {
        for config in CONFIGS {
            let with = [&put(Some(config))[..], b"Host z\n"].concat();
            let moved = with_block(Some(&with), "/tmp/x", KeyFiles::Offer).unwrap();
            assert_eq!(moved.change, Change::Replace);
            let text = String::from_utf8_lossy(&moved.config).into_owned();
            assert!(text.contains("\n  IdentityAgent \"/tmp/x\"\n") && !text.contains(SOCKET));
            let back = with_block(Some(&moved.config), SOCKET, KeyFiles::Offer).unwrap();
            assert_eq!(back.config, with);
        }
    }

    #[test]
    fn key_files_are_ignored_only_where_it_is_wanted_and_undo_gives_back_every_byte() {
        for config in CONFIGS.map(Some).into_iter().chain([None]) {
            let plain = put(config);
            assert_eq!(key_files(&plain), Ok(Some(KeyFiles::Offer)));
            let with = with_block(Some(&plain), SOCKET, KeyFiles::Ignore).unwrap();
            assert_eq!(with.change, Change::Replace);
            assert!(
                with.block
                    .contains("\n  IdentityFile none\n# keystead: end")
            );
            assert_eq!(key_files(&with.config), Ok(Some(KeyFiles::Ignore)));
            let expected =
                config.map_or(WithoutBlock::NoFile, |it| WithoutBlock::Config(it.into()));
            assert_eq!(without_block(&with.config), Ok(expected));
            let back = with_block(Some(&with.config), SOCKET, KeyFiles::Offer).unwrap();
            assert_eq!((back.config, back.change), (plain, Change::Replace));
        }
        // What stands elsewhere is not the block's.
        assert_eq!(key_files(b"Host *\n  IdentityFile none\n"), Ok(None));
    }

    #[test]
    fn lines_that_came_later_stay() {
        let with = [&put(Some(b"Host a"))[..], b"Host z\n"].concat();
        let expected = WithoutBlock::Config(b"Host a\nHost z\n".to_vec());
        assert_eq!(without_block(&with), Ok(expected));
        let with = [&put(None)[..], b"Host z\n"].concat();
        let expected = WithoutBlock::Config(b"Host z\n".to_vec());
        assert_eq!(without_block(&with), Ok(expected));
        assert_eq!(without_block(b"Host z\n"), Ok(WithoutBlock::Same));
    }

    #[test]
    fn edited_markers_are_refused() {
        let with = String::from_utf8(put(Some(b"Host a\n"))).unwrap();
        for edited in [
            with.replace(END, ""),
            with.replace(BEGIN, ""),
            format!("{with}{with}"),
            format!("{END}\n{BEGIN}\n"),
        ] {
            assert_eq!(without_block(edited.as_bytes()), Err(ConfigError::Unpaired));
            let put = with_block(Some(edited.as_bytes()), SOCKET, KeyFiles::Offer);
            assert_eq!(put, Err(ConfigError::Unpaired));
        }
    }

    #[test]
    fn other_agents_are_named_by_line() {
        let config = b"Host a\n  identityagent /x\n#IdentityAgent\nHost b\n\tIdentityAgent=/y\n";
        let with = with_block(Some(config), SOCKET, KeyFiles::Offer).unwrap();
        assert_eq!(with.other_agents, [2, 5]);
        let later = [&with.config[..], b"Host c\nIdentityAgent /z\n"].concat();
        assert_eq!(
            with_block(Some(&later), SOCKET, KeyFiles::Offer)
                .unwrap()
                .other_agents,
            [2, 5, 12]
        );
    }

    #[test]
    fn paths_that_ssh_reads_otherwise_are_escaped_or_refused() {
        let with = |path| with_block(None, path, KeyFiles::Offer);
        let block = with("/tmp/100%/a b").unwrap().block;
        assert!(block.contains("IdentityAgent \"/tmp/100%%/a b\"\n"));
        for path in ["/tmp/a\"b", "/tmp/a\nb", "/tmp/${HOME}", "/tmp/a\\b"] {
            assert!(matches!(with(path), Err(ConfigError::Path(_))), "{path}");
        }
    }
}
