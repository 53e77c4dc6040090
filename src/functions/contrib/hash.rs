//! Package `contrib/qxip/hash`: hashes of strings, as text.
//!
//! A null argument gives null. What a hash protects is not kept secret by it: `hmac` uses SHA-1, as the reference does.

use hmac::{Hmac, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::functions::arguments::{Arguments, any_null};
use crate::functions::json::base64;

const PACKAGE: &str = "contrib/qxip/hash";

macro_rules! example {
    ($call:literal) => {
        &[concat!("import \"array\"\nimport \"contrib/qxip/hash\"\n\narray.from(rows: [{v: ", $call, "}])")]
    };
}

const fn of_text(
    name: &'static str,
    doc: &'static str,
    examples: &'static [&'static str],
    body: fn(&mut Call<'_>) -> Result<Value>,
) -> Builtin {
    Builtin { package: PACKAGE, name, signature: "(v: string) => string", doc, examples, body }
}

static BUILTINS: &[Builtin] = &[
    of_text("b64", "The text in base 64.", example!("hash.b64(v: \"hall\")"), |call| text(call, base64)),
    Builtin {
        package: PACKAGE,
        name: "hmac",
        signature: "(v: string, k: string) => string",
        doc: "The HMAC of the text with a key, by SHA-1, in base 64.",
        examples: example!("hash.hmac(v: \"hall\", k: \"key\")"),
        body: |call| {
            if any_null(call) {
                return Ok(Value::Null);
            }
            let (v, key) = (call.string("v")?, call.string("k")?);
            let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes())
                .map_err(|_| Error::internal("a key that HMAC does not take"))?;
            mac.update(v.as_bytes());
            Ok(Value::string(base64(&mac.finalize().into_bytes())))
        },
    },
    of_text("md5", "The MD5 of the text, in hexadecimal.", example!("hash.md5(v: \"hall\")"), |call| {
        text(call, |v| hexadecimal(&Md5::digest(v)))
    }),
    of_text("sha1", "The SHA-1 of the text, in hexadecimal.", example!("hash.sha1(v: \"hall\")"), |call| {
        text(call, |v| hexadecimal(&Sha1::digest(v)))
    }),
    of_text("sha256", "The SHA-256 of the text, in hexadecimal.", example!("hash.sha256(v: \"hall\")"), |call| {
        text(call, |v| hexadecimal(&Sha256::digest(v)))
    }),
    of_text("xxhash64", "The XXH64 of the text, in decimal.", example!("hash.xxhash64(v: \"hall\")"), |call| {
        text(call, |v| xxhash_rust::xxh64::xxh64(v, 0).to_string())
    }),
];

/// The package.
pub fn package() -> Package {
    Package { path: PACKAGE, builtins: BUILTINS.iter().collect(), ..Package::default() }
}

fn text(call: &Call<'_>, hash: impl FnOnce(&[u8]) -> String) -> Result<Value> {
    if any_null(call) {
        return Ok(Value::Null);
    }
    Ok(Value::string(hash(call.string("v")?.as_bytes())))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
