//! Previews: what is laid over a stack's files where its name has a prefix.

use std::path::Path;

use super::{
    file::{self, Files},
    mistake::{Code, Mistake, Rejected},
    tree::{Data, Entry, Node, merge},
    yaml,
};

/// Returns what a file says of previews.
pub(super) fn named(tree: &Node) -> Option<&Entry> {
    tree.entry("stack")?.node.entry("previews").filter(|it| !it.node.is_null())
}

/// Lays the file that says what differs in previews over the stack's own.
///
/// # Errors
/// Says that the stack has no previews, or that this file cannot be read.
pub(super) fn lay(root: &Path, name: &str, stem: &str, files: Files) -> Result<Files, Rejected> {
    let Files { tree, mut mistakes } = files;
    let Some(entry) = named(&tree) else {
        let message = format!("there is no stack `{name}`, and `{stem}` has no previews");
        let help = format!(
            "for a preview, let stacks/{stem}.yaml say under `stack:` which file holds what differs in one: \
             `previews: preview.yaml`"
        );
        return Err(Rejected::new(name, vec![Mistake::new(Code::NotFound, message).help(help)]));
    };
    // What is no text is complained of with the other settings.
    let Data::Text(text) = &entry.node.data else { return Ok(Files { tree, mistakes }) };
    let place = &entry.node.place;
    let Some(path) = file::resolve(place.source().path(), text) else {
        let mistake = Mistake::new(Code::Extends, "`previews` leads out of the project");
        mistakes.push(mistake.at(place, "not within the project"));
        return Err(Rejected::new(name, mistakes));
    };
    let source = file::open(root, &path).map_err(|why| {
        mistakes.push(file::unreadable(root, &path, &why, Some(place)));
        Rejected::new(name, mistakes.clone())
    })?;
    let Some(mut over) = yaml::read(&source, &mut mistakes) else { return Err(Rejected::new(name, mistakes)) };
    if let Some(it) = over.take("extends") {
        let mistake = Mistake::new(Code::Extends, "what differs in previews extends nothing: it lies over each stack");
        mistakes.push(mistake.at(&it.key, "leave this out"));
    }
    Ok(Files { tree: merge(tree, over), mistakes })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{
        is_file, load, names, settings, stem_of,
        tests::{BASE, kinds::KINDS, project},
    };

    const SHOP: &str = "extends: base.yaml\nstack: { previews: preview.yaml, region: eu-west-1 }\n";
    const OVER: &str = "stack: { tags: { preview: \"yes\" } }\nresources: { topic: { orders: { partitions: 1 } } }\n";

    #[test]
    fn a_prefix_makes_a_preview_of_a_stack() {
        let root = project(&[("base.yaml", BASE), ("shop.yaml", SHOP), ("preview.yaml", OVER)]);
        let root = root.path();
        assert_eq!(names(root).expect("read"), ["shop"], "what differs in previews is no stack");
        let preview = load(root, "pr-7-shop", KINDS).expect("a preview");
        let stack = load(root, "shop", KINDS).expect("a stack");
        assert_eq!(preview.name, "pr-7-shop");
        let partitions = |it: &super::super::Stack| {
            it.resources[&crate::address::Address::new("topic", "orders")].spec["partitions"].clone()
        };
        assert_eq!((partitions(&preview), partitions(&stack)), (1.into(), 6.into()));
        assert_eq!(preview.settings.region.as_deref(), Some("eu-west-1"), "what it does not say stays");
        assert_eq!(settings(root, "pr-7-shop", KINDS).expect("settings").tags["preview"], "yes");
        assert_ne!(preview.hash, stack.hash);
        assert!(is_file(root, "pr-7-shop") && stem_of(root, "pr-7-shop") == Some("shop"));
    }

    #[test]
    fn a_file_of_its_own_goes_before_a_preview() {
        let root = project(&[("shop.yaml", "stack: { previews: p.yaml }"), ("x-shop.yaml", ""), ("p.yaml", "")]);
        assert_eq!(stem_of(root.path(), "x-shop"), Some("x-shop"));
        assert_eq!(stem_of(root.path(), "a-x-shop"), Some("x-shop"), "the longer name goes before");
        assert_eq!(stem_of(root.path(), "a-shop"), Some("shop"));
        for name in ["shops", "-shop", "A-shop", "a_shop", "a-much-too-long-a-shop"] {
            assert_eq!(stem_of(root.path(), name), None, "{name}");
        }
    }

    #[test]
    fn without_a_word_in_the_file_there_are_no_previews() {
        let root = project(&[("shop.yaml", "")]);
        let told = |root: &std::path::Path| {
            let err = load(root, "pr-7-shop", KINDS).expect_err("no preview");
            (err.is_usage(), err.mistakes().iter().map(|it| it.to_string()).collect::<Vec<_>>().join("\n"))
        };
        let (usage, text) = told(root.path());
        assert!(usage && text.contains("`shop` has no previews"), "{text}");
        let file = root.path().join("stacks/shop.yaml");
        for (says, wrong) in [("../../x.yaml", "leads out"), ("none.yaml", "there is no file stacks/none.yaml")] {
            fs::write(&file, format!("stack: {{ previews: {says} }}\n")).expect("written");
            assert!(told(root.path()).1.contains(wrong), "{:?}", told(root.path()));
        }
        fs::write(&file, "stack: { previews: over.yaml }\n").expect("written");
        fs::write(root.path().join("stacks/over.yaml"), "extends: shop.yaml\n").expect("written");
        assert!(told(root.path()).1.contains("extends nothing"), "{:?}", told(root.path()));
    }
}
