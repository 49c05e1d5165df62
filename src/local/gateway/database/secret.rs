//! The secret of an instance whose password RDS looks after. Lives in the cloud's Secrets Manager; never in our records.

use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};

use crate::local::gateway::{call::Fault, upstream::Upstream};

/// What a made-up password consists of: what RDS allows, without what needs quoting in shells and URLs.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Makes up a password.
pub(super) fn password() -> String {
    let mut random = rand::rng();
    (0..32).filter_map(|_| ALPHABET.choose(&mut random)).map(|it| char::from(*it)).collect()
}

/// Writes role and password into the secret of this name, making it where there is none; returns its ARN.
pub(super) async fn write(
    upstream: &Upstream,
    region: &str,
    (name, key): (&str, &str),
    (user, password): (&str, &str),
    instance_arn: &str,
) -> Result<String, Fault> {
    let content = json!({ "username": user, "password": password }).to_string();
    let mut create = json!({
        "Name": name,
        "SecretString": content,
        "Description": format!("Secret associated with primary RDS DB instance: {instance_arn}"),
        "Tags": [
            { "Key": "aws:rds:primaryDBInstanceArn", "Value": instance_arn },
            { "Key": "aws:secretsmanager:owningService", "Value": "rds" },
        ],
    });
    if !key.is_empty() {
        create["KmsKeyId"] = json!(key);
    }
    let created = ask(upstream, region, "CreateSecret", &create).await;
    let answer = match created {
        Err(err) if err.message.contains("ResourceExistsException") => {
            let put = json!({ "SecretId": name, "SecretString": content });
            ask(upstream, region, "PutSecretValue", &put).await?
        }
        it => it?,
    };
    let arn = answer["ARN"].as_str().filter(|it| !it.is_empty());
    arn.map(str::to_owned).ok_or_else(|| Fault::new(500, "InternalFailure", "Secrets Manager gave no ARN"))
}

/// Says whether the secret is there.
pub(super) async fn exists(upstream: &Upstream, region: &str, arn: &str) -> Result<bool, Fault> {
    match ask(upstream, region, "DescribeSecret", &json!({ "SecretId": arn })).await {
        Ok(_) => Ok(true),
        Err(err) if err.message.contains("ResourceNotFoundException") => Ok(false),
        Err(err) => Err(err),
    }
}

/// Deletes the secret at once; nothing happens where it is gone.
pub(super) async fn delete(upstream: &Upstream, region: &str, arn: &str) -> Result<(), Fault> {
    let input = json!({ "SecretId": arn, "ForceDeleteWithoutRecovery": true });
    match ask(upstream, region, "DeleteSecret", &input).await {
        Err(err) if err.message.contains("ResourceNotFoundException") => Ok(()),
        it => it.map(drop),
    }
}

async fn ask(upstream: &Upstream, region: &str, operation: &str, input: &Value) -> Result<Value, Fault> {
    let failed = |reason: String| Fault::new(500, "InternalFailure", format!("Secrets Manager {operation}: {reason}"));
    let target = format!("secretsmanager.{operation}");
    let answer = upstream.ask("secretsmanager", region, &target, input).await.map_err(|err| failed(err.to_string()))?;
    if answer.status.is_success() {
        return Ok(answer.json());
    }
    // The message of a refusal may repeat what was sent; only the error's name is passed on.
    let name = answer.json()["__type"].as_str().map(|it| it.rsplit('#').next().unwrap_or(it).to_owned());
    Err(failed(name.unwrap_or_else(|| answer.status.to_string())))
}
