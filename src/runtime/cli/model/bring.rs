//! `model register`, `import`, `export`, `sign`: versions come in, go out, and are vouched for.

use super::{DirArguments, Failure, WhoArguments, write_new};
use crate::model::artifact::{hex, read_capped, sha256};
use crate::registry::seal::{PublicKey, SigningKey};
use crate::registry::{Birth, Bundle, Registry};
use clap::Args;
use std::path::PathBuf;

/// Largest configuration of a training, bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

#[derive(Args)]
#[command(after_help = "Example: peregrine model register ./my-model --by alice --reason trial")]
pub struct RegisterArguments {
    /// Folder with model.onnx and card.toml.
    from: PathBuf,
    /// The version it was made from.
    #[arg(long, value_name = "VERSION")]
    parent: Option<String>,
    /// The configuration of its training; the record keeps its SHA-256.
    #[arg(long, value_name = "FILE")]
    train_config: Option<PathBuf>,
    /// Make it the champion; only before the first. A new registry is made where none is.
    #[arg(long)]
    first_champion: bool,
    #[command(flatten)]
    who: WhoArguments,
    #[command(flatten)]
    at: DirArguments,
}

#[derive(Args)]
#[command(after_help = "Example: peregrine model export champion --out bundle.tar.gz\n\nThe same \
                  version, documents and key make the same bytes.")]
pub struct ExportArguments {
    /// The version, or `champion`.
    version: String,
    /// The bundle; it may not be there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A document to put in, by the name it is known by: gate_decision.json, wfv_report.md, ...
    #[arg(long, value_name = "FILE")]
    decision: Vec<PathBuf>,
    /// Private key to sign the bundle with.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    at: DirArguments,
}

#[derive(Args)]
#[command(
    after_help = "Example: peregrine model import bundle.tar.gz --trust gate.key.pub --by alice \
                  --reason \"from the lab\"\n\nThe bundle is checked and its model proved before \
                  anything is written; the version is staged."
)]
pub struct ImportArguments {
    /// The bundle.
    bundle: PathBuf,
    /// A public key that must have signed it: 64 hexadecimal digits, or a file with them.
    #[arg(long, value_name = "KEY")]
    trust: Vec<String>,
    #[command(flatten)]
    who: WhoArguments,
    #[command(flatten)]
    at: DirArguments,
}

#[derive(Args)]
#[command(
    after_help = "Example: peregrine model sign synthetic-7 --key gate.key --by alice --reason \
                  \"looked at with the lab\""
)]
pub struct SignArguments {
    /// The version, or `champion`.
    version: String,
    /// Private key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    who: WhoArguments,
    #[command(flatten)]
    at: DirArguments,
}

pub fn register(arguments: &RegisterArguments) -> Result<(), Failure> {
    let mut registry = Registry::open_or_create(&arguments.at.dir)?;
    let change = arguments.who.change();
    change.check()?;
    let mut birth = Birth { parent: arguments.parent.clone(), ..Birth::default() };
    if let Some(path) = &arguments.train_config {
        birth.config_sha256 = Some(hex(&sha256(&read_capped(path, CONFIG_BYTES_MAX)?)));
    }
    let version = registry.register_born(&arguments.from, birth, change.clone())?;
    if arguments.first_champion {
        registry.crown_first(&version, change)?;
    }
    if arguments.at.json {
        println!("{}", serde_json::json!({ "version": version }));
    } else {
        println!("registered {version}");
    }
    Ok(())
}

pub fn export(arguments: &ExportArguments) -> Result<(), Failure> {
    let registry = Registry::open(&arguments.at.dir)?;
    let version = registry.version_named(&arguments.version)?;
    let key = arguments.key.as_deref().map(SigningKey::read).transpose()?;
    let bytes = registry.export(version, &arguments.decision, key.as_ref())?;
    write_new(&arguments.out, &bytes)?;
    let (sha256, out) = (hex(&sha256(&bytes)), arguments.out.display().to_string());
    if arguments.at.json {
        let count = bytes.len();
        let told = serde_json::json!({"version": version, "bundle": out, "sha256": sha256,
            "bytes": count, "signed_by": key.map(|key| key.public().hex())});
        println!("{told}");
    } else {
        println!("{sha256}  {out}");
    }
    Ok(())
}

pub fn import(arguments: &ImportArguments) -> Result<(), Failure> {
    let bundle = Bundle::read(&arguments.bundle)?;
    let trusted = arguments.trust.iter().map(|key| PublicKey::from_text_or_file(key));
    let trusted: Vec<PublicKey> = trusted.collect::<Result<_, _>>()?;
    let given = (!trusted.is_empty()).then_some(&trusted[..]);
    let change = arguments.who.change();
    change.check()?;
    // A bundle that is refused makes no registry either.
    bundle.check(&arguments.bundle, given)?;
    let mut registry = Registry::open_or_create(&arguments.at.dir)?;
    let imported = registry.import((&arguments.bundle, &bundle), given, change)?;
    let signed_by = imported.signed_by.map(|key| key.fingerprint());
    let vouchers: Vec<String> = imported.vouchers.iter().map(PublicKey::fingerprint).collect();
    if arguments.at.json {
        let told = serde_json::json!({"version": imported.version, "sha256": imported.sha256,
            "signed_by": signed_by, "trusted": given.is_some(), "vouchers": vouchers,
            "documents": imported.documents});
        println!("{told}");
        return Ok(());
    }
    println!("registered {}, staged, from {}", imported.version, imported.sha256);
    match (signed_by, given) {
        (Some(key), Some(_)) => println!("signed by {key}, which is trusted"),
        (Some(key), None) => println!("signed by {key}; --trust was not given, so by anybody"),
        (None, _) => println!("not signed: what it holds is whole, and from anybody"),
    }
    Ok(())
}

pub fn sign(arguments: &SignArguments) -> Result<(), Failure> {
    let mut registry = Registry::open(&arguments.at.dir)?;
    let version = registry.version_named(&arguments.version)?.to_owned();
    let key = SigningKey::read(&arguments.key)?;
    let public = registry.sign(&version, &key, arguments.who.change())?;
    if arguments.at.json {
        let told = serde_json::json!({"version": version, "public_key": public.hex()});
        println!("{told}");
    } else {
        println!("{version} signed by {}", public.fingerprint());
    }
    Ok(())
}
