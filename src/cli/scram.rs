//! SCRAM users that a cluster is formatted with (KIP-900).
//!
//! An argument is `MECHANISM=[name=…,password=…]`, with `iterations` and `salt`, or `salt` and `saltedpassword` in the
//! password's place; salts and salted passwords are base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256, Sha512};

use crate::schema::metadata::UserScramCredentialRecord;
use crate::types::Rng;

const ITERATIONS: i32 = 4096;
const ITERATIONS_MAX: i32 = 16384;
const SALT_WORDS: usize = 3;

#[derive(Clone, Copy)]
enum Mechanism {
    Sha256,
    Sha512,
}

impl Mechanism {
    fn of_name(name: &str) -> Option<Mechanism> {
        match name {
            "SCRAM-SHA-256" => Some(Mechanism::Sha256),
            "SCRAM-SHA-512" => Some(Mechanism::Sha512),
            _ => None,
        }
    }

    fn number(self) -> i8 {
        match self {
            Mechanism::Sha256 => 1,
            Mechanism::Sha512 => 2,
        }
    }

    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Mechanism::Sha256 => Sha256::digest(bytes).to_vec(),
            Mechanism::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        const ANY_KEY: &str = "an HMAC takes keys of every length";
        match self {
            Mechanism::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .expect(ANY_KEY)
                .chain_update(text)
                .finalize()
                .into_bytes()
                .to_vec(),
            Mechanism::Sha512 => Hmac::<Sha512>::new_from_slice(key)
                .expect(ANY_KEY)
                .chain_update(text)
                .finalize()
                .into_bytes()
                .to_vec(),
        }
    }

    fn salted_password(self, password: &[u8], salt: &[u8], iterations: i32) -> Vec<u8> {
        let rounds = iterations.unsigned_abs();
        match self {
            Mechanism::Sha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, rounds).to_vec(),
            Mechanism::Sha512 => pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, rounds).to_vec(),
        }
    }
}

/// The credential that an argument states. `rng` makes the salt where none is given.
///
/// # Errors
///
/// One line, without any secret in it.
pub(super) fn parse(argument: &str, rng: &mut Rng) -> Result<UserScramCredentialRecord, String> {
    let (name, list) =
        argument.trim().split_once('=').ok_or("Failed to find equals sign in SCRAM argument")?;
    let mechanism = Mechanism::of_name(name).ok_or_else(|| {
        format!("The add-scram mechanism {name} is not supported: SCRAM-SHA-256 and SCRAM-SHA-512 are.")
    })?;
    let list = list.strip_prefix('[').ok_or("Expected configuration string to start with [")?;
    let list = list.strip_suffix(']').ok_or("Expected configuration string to end with ]")?;

    let (mut user, mut salt, mut iterations, mut password, mut salted) = (None, None, ITERATIONS, None, None);
    for component in list.split(',') {
        let (key, value) = component.split_once('=').ok_or("No equals sign found in SCRAM component")?;
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        let decode =
            |what: &str| STANDARD.decode(value).map_err(|_| format!("Failed to decode given {what}"));
        match key.trim() {
            "name" => user = Some(value.to_owned()),
            "salt" => salt = Some(decode("salt")?),
            "iterations" => {
                iterations =
                    value.parse().map_err(|_| format!("Failed to parse iterations count: {value}"))?;
            }
            "password" => password = Some(value.to_owned()),
            "saltedpassword" => salted = Some(decode("saltedPassword")?),
            other => return Err(format!("Unknown SCRAM configurations: {other}")),
        }
    }
    let user = user.ok_or("You must supply 'name' to add-scram")?;
    if !(ITERATIONS..=ITERATIONS_MAX).contains(&iterations) {
        return Err(format!(
            "The 'iterations' value must be from {ITERATIONS} to {ITERATIONS_MAX} for add-scram using {name}"
        ));
    }
    let salted = match (password, salted) {
        (None, None) => {
            return Err("You must supply one of 'password' or 'saltedpassword' to add-scram".to_owned());
        }
        (None, Some(_)) if salt.is_none() => {
            return Err("You must supply 'salt' with 'saltedpassword' to add-scram".to_owned());
        }
        (None, Some(salted)) => salted,
        (Some(password), _) => {
            let random = || (0..SALT_WORDS).flat_map(|_| rng.next_u64().to_be_bytes()).collect();
            let salt: &Vec<u8> = salt.get_or_insert_with(random);
            mechanism.salted_password(password.as_bytes(), salt, iterations)
        }
    };
    Ok(UserScramCredentialRecord {
        name: user,
        mechanism: mechanism.number(),
        salt: Bytes::from(salt.unwrap_or_default()),
        stored_key: Bytes::from(mechanism.hash(&mechanism.hmac(&salted, b"Client Key"))),
        server_key: Bytes::from(mechanism.hmac(&salted, b"Server Key")),
        iterations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::checkpoint_file::Checkpoint;
    use crate::schema::metadata::MetadataRecord;

    /// The argument with which Kafka's tool made the fixture.
    const ALICE: &str = "SCRAM-SHA-256=[name=alice,iterations=4096,salt=\"N3E=\",password=alice-secret]";

    #[test]
    fn credentials_are_those_of_kafkas_tool() {
        let fixture = include_bytes!("../../tests/fixtures/storage-tool/static.bootstrap.checkpoint");
        let bootstrap = Checkpoint::parse(&Bytes::from_static(fixture)).expect("Kafka's file");
        let ours = parse(ALICE, &mut Rng::new(1)).expect("valid");
        assert_eq!(bootstrap.records.last(), Some(&MetadataRecord::UserScramCredential(ours)));
    }

    #[test]
    fn salts_are_made_where_none_is_given() {
        let mut rng = Rng::new(1);
        let plain = "SCRAM-SHA-512=[name=bob,password=x]";
        let (one, other) = (parse(plain, &mut rng).expect("valid"), parse(plain, &mut rng).expect("valid"));
        assert_ne!(one.salt, other.salt);
        assert_eq!((one.mechanism, one.stored_key.len(), one.iterations), (2, 64, 4096));
    }

    #[test]
    fn bad_arguments_are_refused_without_their_secrets() {
        for bad in [
            "secret",
            "SCRAM-MD5=[name=a,password=secret]",
            "SCRAM-SHA-256=name=a,password=secret",
            "SCRAM-SHA-256=[name=a,password=secret",
            "SCRAM-SHA-256=[password=secret]",
            "SCRAM-SHA-256=[name=a]",
            "SCRAM-SHA-256=[name=a,saltedpassword=YCE=]",
            "SCRAM-SHA-256=[name=a,password=secret,salt=?]",
            "SCRAM-SHA-256=[name=a,password=secret,iterations=1]",
            "SCRAM-SHA-256=[name=a,password=secret,iterations=99999]",
            "SCRAM-SHA-256=[name=a,password=secret,nope=1]",
            "SCRAM-SHA-256=[name=a,secret]",
        ] {
            let error = parse(bad, &mut Rng::new(1)).expect_err(bad);
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
