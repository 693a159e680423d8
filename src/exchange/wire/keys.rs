//! Keys of user streams: made, kept alive, ended.

use crate::base::Nanos;

/// How long a key is good without being kept alive.
const LIFE: Nanos = Nanos::from_secs(3_600);

/// The key of every account's user stream.
#[derive(Debug, Default)]
pub struct ListenKeys {
    keys: Vec<Key>,
    made: u64,
}

#[derive(Debug)]
struct Key {
    account: usize,
    text: String,
    until: Nanos,
}

impl ListenKeys {
    /// The key of an account: the one it has, with its life begun anew, or a new one.
    pub fn start(&mut self, account: usize, now: Nanos) -> &str {
        let found = self.keys.iter().position(|key| key.account == account);
        let at = found.unwrap_or_else(|| {
            self.made += 1;
            let text = listen_key(account, self.made, now);
            self.keys.push(Key { account, text, until: now });
            self.keys.len() - 1
        });
        self.keys[at].until = now + LIFE;
        &self.keys[at].text
    }

    /// Begins the life of an account's key anew; `None` where it has none.
    pub fn keep(&mut self, account: usize, now: Nanos) -> Option<&str> {
        let key = self.keys.iter_mut().find(|key| key.account == account)?;
        key.until = now + LIFE;
        Some(&key.text)
    }

    /// Ends an account's key; the key.
    pub fn end(&mut self, account: usize) -> Option<String> {
        let at = self.keys.iter().position(|key| key.account == account)?;
        Some(self.keys.swap_remove(at).text)
    }

    /// The key of an account.
    pub fn of(&self, account: usize) -> Option<&str> {
        self.keys.iter().find(|key| key.account == account).map(|key| key.text.as_str())
    }

    /// Ends the life of every key at `now`; [`ListenKeys::expire`] gives them out.
    pub fn run_out(&mut self, now: Nanos) {
        self.keys.iter_mut().for_each(|key| key.until = key.until.min(now));
    }

    /// When the next key ends by itself.
    pub fn next_due(&self) -> Nanos {
        self.keys.iter().map(|key| key.until).min().unwrap_or(Nanos(i64::MAX))
    }

    /// Ends a key whose time has come: `(account, key)`.
    pub fn expire(&mut self, now: Nanos) -> Option<(usize, String)> {
        let at = self.keys.iter().position(|key| key.until <= now)?;
        let key = self.keys.swap_remove(at);
        Some((key.account, key.text))
    }
}

/// The letter or digit that a number stands for in names and keys the venue makes up.
pub fn letter_of(number: u64) -> char {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char::from(LETTERS[(number % 62) as usize])
}

/// 64 letters and digits, another text for every account, number and time.
fn listen_key(account: usize, number: u64, now: Nanos) -> String {
    let mut state = xxhash_rust::xxh3::xxh3_64(format!("{account}/{number}/{now:?}").as_bytes());
    let letter = |_| {
        let letter = letter_of(state);
        state = xxhash_rust::xxh3::xxh3_64(&state.to_le_bytes());
        letter
    };
    (0..64).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lives_an_hour_from_when_it_was_last_asked_for() {
        let at = Nanos::from_secs;
        let mut keys = ListenKeys::default();
        let key = keys.start(3, at(0)).to_owned();
        assert_eq!(keys.start(3, at(1_000)), key, "asking again gives the same key");
        assert_eq!(keys.next_due(), at(4_600));
        assert_eq!(keys.keep(3, at(2_000)), Some(key.as_str()));
        assert_eq!(keys.expire(at(5_599)), None);
        assert_eq!(keys.expire(at(5_600)), Some((3, key.clone())));
        assert_eq!(keys.of(3), None);
        assert_eq!(keys.keep(3, at(5_600)), None);
        assert_ne!(keys.start(3, at(5_600)), key, "a new key is another");
    }

    #[test]
    fn every_account_has_a_key_of_its_own_in_the_venues_form() {
        let mut keys = ListenKeys::default();
        let (one, two) = (keys.start(0, Nanos(1)).to_owned(), keys.start(1, Nanos(1)).to_owned());
        assert_ne!(one, two);
        assert!(one.len() == 64 && one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(keys.end(0), Some(one));
        assert_eq!(keys.of(1), Some(two.as_str()));
    }
}
