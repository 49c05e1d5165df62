//! What holds for all files.

use std::sync::Arc;

use miette::Diagnostic as _;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::stack::{
    mistake::Mistake,
    near,
    source::{Place, Source},
    tree::{Node, merge},
    yaml,
};

fn read(text: &str) -> Option<Node> {
    yaml::read(&Source::new("stacks/x.yaml".into(), text), &mut Vec::new())
}

/// A tree whose shape is known by its keys: `m` holds maps, `s` scalars, `l` lists. `null` only where allowed.
fn tree(null: bool) -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<i32>().prop_map(Value::from),
        "[a-z ]{0,8}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from)
    ];
    let leaf = if null { prop_oneof![scalar, Just(Value::Null)].boxed() } else { scalar.boxed() };
    leaf.prop_map(|it| json!({ "s": it })).prop_recursive(3, 24, 4, move |inner| {
        prop::collection::btree_map(0..4_u8, inner, 0..4).prop_map(move |it| {
            it.into_iter()
                .map(|(i, it)| (format!("m{i}"), it))
                .chain([("l".into(), json!([1, { "a": 2 }]))])
                .collect::<serde_json::Map<_, _>>()
                .into()
        })
    })
}

/// JSON is YAML.
fn node(value: &Value) -> Node {
    read(&value.to_string()).expect("JSON is YAML")
}

const SAMPLE: &str = "\
# ein Kommentar: ü
stack: { target: local, tags: { stadt: \"Köln\" } }
resources:
  cluster:
    events: { brokers: 3 }
  topic:
    orders:
      cluster: events
      partitions: 6
      retention: 7d
  table:
    orders:
      columns:
        - { name: id, type: bigint }
        - name: größe
          type: |
            text
      source: { query: { template: 'a''b' } }
";

proptest! {
    #[test]
    fn json_is_read_as_it_is(value in tree(true)) {
        let lean = |it: &Value| node(it).json();
        prop_assert_eq!(lean(&value), without_null(&value));
    }

    #[test]
    fn laying_a_file_over_itself_changes_nothing(value in tree(true)) {
        let it = node(&value);
        prop_assert_eq!(merge(it.clone(), it.clone()), it);
    }

    #[test]
    fn the_order_of_laying_does_not_matter(a in tree(false), b in tree(false), c in tree(false)) {
        let (a, b, c) = (node(&a), node(&b), node(&c));
        prop_assert_eq!(merge(merge(a.clone(), b.clone()), c.clone()), merge(a, merge(b, c)));
    }

    #[test]
    fn what_was_removed_and_what_was_overridden_is_remembered(a in tree(true), b in tree(true)) {
        let merged = merge(node(&a), node(&b));
        prop_assert_eq!(merged.json(), patched(&a, &b));
    }

    #[test]
    fn no_bytes_make_it_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let root = project(&[]);
        fs::write(root.path().join("stacks/local.yaml"), &bytes).expect("written");
        survives(root.path());
    }

    #[test]
    fn no_change_of_a_good_file_makes_it_fall_over(
        edits in prop::collection::vec((0..SAMPLE.len(), 0..6_usize, "[\\PC\n\t:{}\\[\\]&*!#'\"-]{0,4}"), 1..5),
    ) {
        let mut text: Vec<char> = SAMPLE.chars().collect();
        for (at, less, more) in edits {
            let at = at.min(text.len());
            let end = (at + less).min(text.len());
            text.splice(at..end, more.chars());
        }
        let text: String = text.into_iter().collect();
        survives(project(&[("local.yaml", &text)]).path());
    }

    /// A word in an otherwise sound file is found again where it stands, whatever stands before it.
    #[test]
    fn places_are_exact(
        before in "[ -~äöü€🚀\t]{0,20}", crlf: bool, bom: bool, wide in "[a-zäöü€🚀]{1,8}",
    ) {
        let text = format!("# {before}\nstack:\n  tags: {{ k: \"{wide}\" }}\nresources:\n  cluster:\n    events: {{ '{wide}': 1, brokers: sevven }}\n");
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        let text = if bom { format!("\u{feff}{text}") } else { text };
        let rejected = local(&[("local.yaml", &text)]).expect_err("two mistakes");
        let places: Vec<&Place> = rejected.mistakes().iter().filter_map(Mistake::place).collect();
        prop_assert_eq!(places.len(), 2);
        let width = wide.chars().count();
        prop_assert_eq!(places[0].text(), format!("'{wide}'"));
        prop_assert_eq!(places[0].origin().to_string(), "stacks/local.yaml:6:15");
        prop_assert_eq!(places[1].text(), "sevven");
        prop_assert_eq!(places[1].origin().to_string(), format!("stacks/local.yaml:6:{}", 15 + width + 2 + 5 + 9));
        let heading = format!("[stacks/local.yaml:6:{}]", 15 + width + 2 + 5 + 9);
        prop_assert!(render(&rejected).contains(&heading), "{}", render(&rejected));
    }

    #[test]
    fn suggestions_take_any_word(word in "\\PC{0,80}", name in "\\PC{0,80}") {
        let _ = near::suggest(&word, [name.as_str()], "names");
        let quoted = near::quote(&word);
        prop_assert!(!quoted.chars().any(char::is_control));
    }
}

/// Loads a stack; if it is rejected, every label lies within its file and everything can be shown.
fn survives(root: &Path) {
    let Err(rejected) = load(root, "local", kinds::KINDS) else { return };
    assert!(!rejected.mistakes().is_empty());
    for it in rejected.mistakes() {
        let source: Option<&Arc<Source>> = it.place().map(Place::source);
        for label in it.labels().into_iter().flatten() {
            let end = label.offset() + label.len();
            assert!(source.is_some_and(|it| it.text().get(label.offset()..end).is_some()), "{it}");
        }
    }
    let shown = render(&rejected);
    assert!(!shown.contains(|it: char| it.is_control() && it != '\n'), "{shown:?}");
    serde_json::to_string(&rejected).expect("JSON");
}

fn without_null(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|it| !it.1.is_null())
            .map(|(key, it)| (key.clone(), without_null(it)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        it => it.clone(),
    }
}

/// The merge of RFC 7396, which is what `extends` promises.
fn patched(base: &Value, over: &Value) -> Value {
    let (Value::Object(base), Value::Object(over)) = (base, over) else { return without_null(over) };
    let mut merged = base.clone();
    for (key, it) in over {
        let it = base.get(key).map_or_else(|| it.clone(), |base| patched(base, it));
        merged.insert(key.clone(), it);
    }
    without_null(&Value::Object(merged))
}
