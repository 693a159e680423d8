//! Who vouches for a version: signatures over what it is, kept in its record, each with an entry in
//! the history.

use super::record::{Action, Entry, Paper, Record, Signature, Stage};
use super::seal::{PublicKey, SigningKey};
use super::store::REGISTRY_FILE;
use super::{Change, Problem, Registry, RegistryError, entry};

/// The history's entry for a signature.
pub(super) fn signed(version: &str, stage: Stage, signature: &Signature, change: &Change) -> Entry {
    let paper = Paper {
        kind: "signature".to_owned(),
        sha256: signature.hash(),
        key: Some(signature.public_key.clone()),
    };
    Entry { papers: vec![paper], ..entry(Action::Signed, version, stage, change) }
}

/// The keys that vouch for a version.
///
/// # Errors
/// The first signature that is not over this version.
pub(super) fn vouchers(version: &str, record: &Record) -> Result<Vec<PublicKey>, String> {
    let statement = record.statement(version);
    let key = |Signature { public_key, signature }: &Signature| {
        PublicKey::from_hex(public_key)
            .filter(|key| key.verifies(statement.as_bytes(), signature))
            .ok_or_else(|| format!("the signature of {public_key} is not of {version}"))
    };
    record.signatures.iter().map(key).collect()
}

impl Registry {
    /// Signs a version, whose files are verified first.
    ///
    /// # Errors
    /// When a file is not what was registered, or that key has signed before.
    pub fn sign(
        &mut self,
        version: &str,
        key: &SigningKey,
        change: Change,
    ) -> Result<PublicKey, RegistryError> {
        change.check()?;
        self.files(version)?;
        let public = key.public();
        self.change(|_, document| {
            let unknown = || RegistryError::UnknownVersion { version: version.to_owned() };
            let record = document.models.get_mut(version).ok_or_else(unknown)?;
            let stage = record.stage;
            if record.signatures.iter().any(|signature| signature.public_key == public.hex()) {
                let objections = vec!["this key has signed it already".to_owned()];
                let version = version.to_owned();
                return Err(RegistryError::Refused { version, to: "signed", objections });
            }
            let text = key.sign(record.statement(version).as_bytes());
            let signature = Signature { public_key: public.hex(), signature: text };
            record.signatures.push(signature.clone());
            document.append(signed(version, stage, &signature, &change));
            Ok(())
        })?;
        Ok(public)
    }

    /// Versions whose signatures are not over them, and with `trusted` those for whom no such key
    /// vouches. Versions without files are left out.
    ///
    /// # Errors
    /// Never for a registry that opened.
    pub fn unsigned(&self, trusted: Option<&[PublicKey]>) -> Result<Vec<Problem>, RegistryError> {
        let removed = self.standing()?.removed;
        let mut problems = Vec::new();
        for (version, record) in self.list().filter(|(version, _)| !removed.contains(version)) {
            let what = match (vouchers(version, record), trusted) {
                (Err(what), _) => what,
                (Ok(keys), Some(trusted)) if !keys.iter().any(|key| trusted.contains(key)) => {
                    format!("{version} is signed by no trusted key")
                }
                (Ok(_), _) => continue,
            };
            problems.push(Problem { path: REGISTRY_FILE.to_owned(), what });
        }
        Ok(problems)
    }
}
