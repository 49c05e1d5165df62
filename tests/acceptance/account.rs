//! Whose credentials are used, and that those of another account reach nothing: against a loopback server that answers as
//! the Security Token Service and the portal of single sign-on do, and writes down what it was asked.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::harness::Ecomctl;

const OWN: &str = "111111111111";
const OTHER: &str = "222222222222";

/// One request: its first line, with the action of its body, and the access key that signed it.
type Heard = Arc<Mutex<Vec<(String, String)>>>;

/// Answers as AWS does whose account is the one whose number an access key ends with.
fn aws() -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let heard = Heard::default();
    let log = Arc::clone(&heard);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &log);
        }
    });
    (endpoint, heard)
}

fn answer(mut stream: TcpStream, heard: &Heard) {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    let text = loop {
        let read = stream.read(&mut part).unwrap_or_default();
        request.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(read > 0, "a request ends early: {text}");
            continue;
        };
        let length = head.lines().find_map(|it| it.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break text;
        }
    };
    let line = text.lines().next().unwrap_or_default();
    let action = text.split_once("Action=").map(|it| it.1.split('&').next().unwrap_or_default());
    let key = text.split_once("Credential=").map_or("", |it| it.1.split('/').next().unwrap_or_default());
    let asked = action.map_or_else(|| line.split('?').next().unwrap_or_default().to_owned(), str::to_owned);
    heard.lock().expect("nobody panicked").push((asked.clone(), key.to_owned()));
    let expires = "2099-01-01T00:00:00Z";
    let body = match asked.as_str() {
        "GetCallerIdentity" => format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>arn</Arn><UserId>id</UserId><Account>{}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
            &key[key.len() - 12..]
        ),
        "AssumeRole" => format!(
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
             <AccessKeyId>ROLE{OTHER}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
             <Expiration>{expires}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        ),
        _ if asked.contains("/federation/credentials") => format!(
            r#"{{"roleCredentials":{{"accessKeyId":"SSO{OTHER}","secretAccessKey":"s","sessionToken":"t","expiration":4070908800000}}}}"#
        ),
        _ => String::new(),
    };
    let status = if body.is_empty() { "404 Not Found" } else { "200 OK" };
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).expect("answered");
}

/// A project with a stack that belongs to [`OWN`], and the credentials of an environment that does, too.
fn project(settings: &str) -> (Ecomctl, Heard) {
    let (endpoint, heard) = aws();
    let stack = format!("stack: {{ account: \"{OWN}\", region: eu-central-1{settings} }}\n");
    let it = Ecomctl::in_project([("stacks/shop.yaml", stack.as_str())]);
    let config = it.root().join("config");
    let program = it.root().join("program");
    let keys = format!(r#"{{"Version":1,"AccessKeyId":"FILE{OTHER}","SecretAccessKey":"s"}}"#);
    fs::write(&program, format!("#!/bin/sh\necho '{keys}'\n")).expect("written");
    let text = format!(
        "[profile other]\ncredential_process = /bin/sh {}\n\
         [profile single]\nsso_session = company\nsso_account_id = {OTHER}\nsso_role_name = deploy\n\
         [sso-session company]\nsso_region = eu-west-1\nsso_start_url = https://company.example.com\n",
        program.display()
    );
    fs::write(&config, text).expect("written");
    // As `aws sso login` leaves it: the file is called after the SHA-1 of the session's name.
    let cache = it.root().join(".aws/sso/cache");
    fs::create_dir_all(&cache).expect("created");
    let token = r#"{"accessToken":"t","expiresAt":"2099-01-01T00:00:00Z","region":"eu-west-1","startUrl":"https://company.example.com"}"#;
    fs::write(cache.join("71b21161ffa1e6516bcc072aaf5ef38cbe85b511.json"), token).expect("written");
    let home = it.root().display().to_string();
    let it = it
        .env("AWS_ENDPOINT_URL", &endpoint)
        .env("AWS_CONFIG_FILE", &config.display().to_string())
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_ACCESS_KEY_ID", &format!("ENV{OWN}"))
        .env("AWS_SECRET_ACCESS_KEY", "s")
        .env("HOME", &home);
    (it, heard)
}

fn asked(heard: &Heard) -> Vec<String> {
    let heard = std::mem::take(&mut *heard.lock().expect("nobody panicked"));
    heard.into_iter().map(|(what, key)| format!("{what} by {key}")).collect()
}

#[test]
fn credentials_of_the_stacks_account_pass() {
    let (it, heard) = project("");
    it.run(["diff", "shop"]).exits(0);
    let asked = asked(&heard);
    assert_eq!(asked[0], format!("GetCallerIdentity by ENV{OWN}"));
    // Without a state, it is looked for what the stack may have had.
    assert!(asked.len() > 1 && asked.iter().all(|it| it.ends_with(&format!(" by ENV{OWN}"))), "{asked:?}");
}

#[test]
fn those_of_another_account_read_nothing() {
    let role = format!("arn:aws:iam::{OTHER}:role/deploy");
    for (flags, found) in [
        (vec!["--profile", "other"], vec![format!("GetCallerIdentity by FILE{OTHER}")]),
        (
            vec!["--assume-role", &role],
            vec![format!("AssumeRole by ENV{OWN}"), format!("GetCallerIdentity by ROLE{OTHER}")],
        ),
        (
            vec!["--profile", "single"],
            vec!["GET /federation/credentials by ".to_owned(), format!("GetCallerIdentity by SSO{OTHER}")],
        ),
    ] {
        for settings in ["", ", state: s3://states/team"] {
            let (it, heard) = project(settings);
            let verbs: &[&[&str]] =
                &[&["diff", "shop"], &["up", "shop"], &["teardown", "shop", "--yes"], &["lock", "status", "shop"]];
            for verb in verbs.iter().filter(|it| it[0] != "lock" || !settings.is_empty()) {
                let ended = it.run(verb.iter().chain(&flags).copied()).exits(9).without_result();
                let told = ended.err.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(told.contains(OWN) && told.contains(OTHER), "{told}");
                assert_eq!(asked(&heard), found, "{verb:?} {flags:?}");
            }
        }
    }
}

#[test]
fn another_region_is_refused_before_anything_is_asked() {
    let (it, heard) = project("");
    let ended = it.run(["diff", "shop", "--region", "us-east-1"]).exits(9).without_result();
    let told = ended.err.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("us-east-1") && told.contains("eu-central-1"), "{told}");
    assert_eq!(asked(&heard), [""; 0]);
    it.run(["diff", "shop", "--region", "eu-central-1"]).exits(0);
}

#[test]
fn a_preview_has_a_name_and_a_state_of_its_own() {
    let (it, _) = project(", previews: over.yaml");
    fs::write(it.root().join("stacks/over.yaml"), "stack: { tags: { preview: \"yes\" } }\n").expect("written");
    let ended = it.run(["up", "shop", "--prefix", "pr-7"]).exits(0);
    assert!(ended.out.contains("pr-7-shop"), "{}", ended.out);
    let state = |name: &str| it.root().join(format!(".ecomctl/state/{name}.json")).exists();
    assert!(state("pr-7-shop") && !state("shop"));
    it.run(["state", "show", "pr-7-shop"]).exits(0);
    it.run(["diff", "shop", "--prefix", "PR"]).exits(2).without_result();
}
