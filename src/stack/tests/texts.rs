//! Mistakes in files and in their YAML.

use super::*;

#[test]
fn duplicate_key() {
    insta::assert_snapshot!(over("resources:\n  cluster:\n    events: {}\n    other: {}\n    events: { brokers: 5 }\n"), @r#"
      × stack `local` has a mistake

    Error: stack::duplicate_key

      × `events` stands twice in one map
       ╭─[stacks/local.yaml:6:5]
     3 │   cluster:
     4 │     events: {}
       ·     ───┬──
       ·        ╰── the first
     5 │     other: {}
     6 │     events: { brokers: 5 }
       ·     ───┬──
       ·        ╰── the second
       ╰────
      help: keep one of them
    "#);
}

#[test]
fn unsupported_yaml() {
    insta::assert_snapshot!(over("\
resources:
  cluster:
    one: &one { brokers: 1 }
    two: *one
    three: { <<: *one }
    four: !big {}
    ? [five]
    : {}
    six: { brokers: .inf }
---
stack: {}
"), @r#"
      × stack `local` has 7 mistakes

    Error: stack::unsupported

      × anchors are not used in stack files
       ╭─[stacks/local.yaml:4:10]
     3 │   cluster:
     4 │     one: &one { brokers: 1 }
       ·          ──┬─
       ·            ╰── this
     5 │     two: *one
       ╰────
      help: leave it out

    Error: stack::unsupported

      × aliases are not used in stack files
       ╭─[stacks/local.yaml:5:10]
     4 │     one: &one { brokers: 1 }
     5 │     two: *one
       ·          ──┬─
       ·            ╰── this
     6 │     three: { <<: *one }
       ╰────
      help: write the value out, or share it through `extends`

    Error: stack::unsupported

      × merge keys are not used in stack files
       ╭─[stacks/local.yaml:6:14]
     5 │     two: *one
     6 │     three: { <<: *one }
       ·              ─┬
       ·               ╰── this
     7 │     four: !big {}
       ╰────
      help: write the fields out, or use `extends`

    Error: stack::unsupported

      × tags are not used in stack files
       ╭─[stacks/local.yaml:7:11]
     6 │     three: { <<: *one }
     7 │     four: !big {}
       ·           ──┬─
       ·             ╰── this
     8 │     ? [five]
       ╰────
      help: leave it out

    Error: stack::unsupported

      × a key must be a plain word
       ╭─[stacks/local.yaml:8:7]
     7 │     four: !big {}
     8 │     ? [five]
       ·       ───┬──
       ·          ╰── not a word
     9 │     : {}
       ╰────

    Error: stack::invalid_value

      × `.inf` is a number that cannot be used
        ╭─[stacks/local.yaml:10:21]
      9 │     : {}
     10 │     six: { brokers: .inf }
        ·                     ──┬─
        ·                       ╰── infinite, not a number, or too large
     11 │ ---
        ╰────
      help: put it in quotes if it is meant as text

    Error: stack::unsupported

      × a stack file is one document
        ╭─[stacks/local.yaml:11:1]
     10 │     six: { brokers: .inf }
     11 │ ---
        · ─┬─
        ·  ╰── this
     12 │ stack: {}
        ╰────
      help: put each stack in a file of its own
    "#);
}

#[test]
fn no_yaml() {
    for (text, said) in [
        ("a:\n\t- x\n", "a tab indents this line"),
        ("a: b: c\n", "a `:` stands where no key can be"),
        ("a:\n  - 1\n b: 2\n", "the indentation fits nothing above"),
        ("a: @x\n", "a value cannot begin with `@`"),
        ("a: \"x\n", "this quote is never closed"),
        ("a: x\n\u{7}\n", "a control character stands here"),
        ("a: [1\n", "this `[` is never closed"),
        ("- a\n", "a stack file must be a map"),
    ] {
        let shown = mistakes(text);
        assert!(shown.contains(said), "{text:?}: {shown}");
        assert!(!shown.contains('\u{7}'), "{shown:?}");
    }
    let deep = format!("a: {}{}\n", "[".repeat(40), "]".repeat(40));
    assert!(mistakes(&deep).contains("this nests more than 32 levels deep"));
    insta::assert_snapshot!(mistakes("resources:\n  topic:\n    orders: {partitions: 6\n"), @r#"
      × stack `local` has a mistake

    Error: stack::syntax

      × this `{` is never closed
       ╭─[stacks/local.yaml:3:13]
     2 │   topic:
     3 │     orders: {partitions: 6
       ·             ┬
       ·             ╰── here
       ╰────
    "#);
}

#[test]
fn extends() {
    insta::assert_snapshot!(shown(&[("local.yaml", "extends: bse.yaml\n"), ("base.yaml", "")]), @r#"
      × stack `local` has a mistake

    Error: stack::extends

      × there is no file stacks/bse.yaml
       ╭─[stacks/local.yaml:1:10]
     1 │ extends: bse.yaml
       ·          ────┬───
       ·              ╰── named here
       ╰────
      help: did you mean `base.yaml`?
    "#);
    insta::assert_snapshot!(shown(&[("local.yaml", "extends: base.yaml\n"), ("base.yaml", "extends: ./local.yaml\n")]), @r#"
      × stack `local` has a mistake

    Error: stack::extends

      × the files extend each other: stacks/local.yaml → stacks/base.yaml → stacks/local.yaml
       ╭─[stacks/base.yaml:1:10]
     1 │ extends: ./local.yaml
       ·          ──────┬─────
       ·                ╰── leads back
       ╰────
    "#);
    for (to, said) in
        [("../../x.yaml", "leads out of the project"), ("/x.yaml", "leads out"), ("[a]", "must be the name of a file")]
    {
        let shown = mistakes(&format!("extends: {to}\n"));
        assert!(shown.contains(said), "{shown}");
    }
    let chain: Vec<(String, String)> =
        (0..20).map(|i| (format!("s{i}.yaml"), format!("extends: s{}.yaml\n", i + 1))).collect();
    let mut files: Vec<(&str, &str)> = chain.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
    files.push(("local.yaml", "extends: s0.yaml\n"));
    assert!(shown(&files).contains("more than 16 files extend each other"));
}

#[test]
fn no_such_stack() {
    let root = project(&[
        ("base.yaml", ""),
        ("staging.yaml", "extends: base.yaml"),
        ("production.yaml", "extends: base.yaml"),
    ]);
    let said = |name| render(&load(root.path(), name, kinds::KINDS).expect_err("there is none"));
    insta::assert_snapshot!(said("stagign"), @r#"
    stack::not_found

      × there is no stack `stagign`: no file stacks/stagign.yaml
      help: did you mean `staging`?
    "#);
    insta::assert_snapshot!(said("../x\u{1b}"), @r#"
    stack::not_found

      × `../x\u{1b}` is no name of a stack: use lower-case letters, digits and hyphens, at most 20
      help: the stacks are: `production` and `staging`
    "#);
    insta::assert_snapshot!(said("staging.yaml"), @r#"
    stack::not_found

      × `staging.yaml` is a file: say the stack's name, `staging`
      help: did you mean `staging`?
    "#);
}

#[test]
fn unreadable_files() {
    let root = project(&[("base.yaml", "")]);
    let path = root.path().join("stacks/local.yaml");
    fs::write(&path, b"a: 1\nb: \xff\n").expect("written");
    let said = || render(&load(root.path(), "local", kinds::KINDS).expect_err("it cannot be read"));
    insta::assert_snapshot!(said(), @r#"
      × stack `local` has a mistake

    Error: stack::unreadable

      × stacks/local.yaml:2 is not UTF-8 text
      help: save it as UTF-8
    "#);
    fs::write(&path, "#".repeat((1 << 20) + 1)).expect("written");
    insta::assert_snapshot!(said(), @r#"
      × stack `local` has a mistake

    Error: stack::unreadable

      × stacks/local.yaml is larger than 1024 KiB
    "#);
}
