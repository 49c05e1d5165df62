//! Whether pages and visuals can be shown: names, places, roles, fields.

use std::collections::BTreeSet;

use toml::Spanned;

use super::Check;
use crate::figures::{
    dax::{self, Target},
    layout::{CANVAS, Form, Page, Takes, Visual},
};

/// The longest name of a page or a visual that Power BI takes.
const LONGEST: usize = 50;

pub(super) fn pages(check: &mut Check<'_>) {
    let files = check.files;
    names(check, files.layout.pages.iter().map(|it| &it.name), "page");
    for page in &files.layout.pages {
        if page.title.as_ref().trim().is_empty() {
            check.layout(page.title.span(), format!("page `{}` has no title", page.name.as_ref()), None);
        }
        if page.visuals.is_empty() {
            check.layout(page.name.span(), format!("page `{}` shows nothing", page.name.as_ref()), None);
        }
        names(check, page.visuals.iter().map(|it| &it.name), "visual");
        for (i, it) in page.visuals.iter().enumerate() {
            visual(check, page, it);
            let covered = page.visuals[..i].iter().find(|other| overlap(it, other));
            if let Some(other) = covered {
                let message = format!("{} covers `{}`", of(page, it), other.name.as_ref());
                check.layout(it.at.span(), message, None);
            }
        }
    }
    slicers(check);
}

/// Notes slicers of one name that are not one: what is chosen in the one is chosen in the other, whatever it is of.
fn slicers(check: &mut Check<'_>) {
    let pages = &check.files.layout.pages;
    let all = pages.iter().flat_map(|page| page.visuals.iter().map(move |it| (page, it)));
    let all: Vec<_> = all.filter(|it| *it.1.kind.as_ref() == Form::Slicer).collect();
    let fields = |it: &Visual| -> Vec<String> {
        it.fields.values().flatten().map(|it: &Spanned<String>| it.as_ref().clone()).collect()
    };
    for (i, (page, it)) in all.iter().enumerate() {
        let first = all[..i].iter().find(|other| other.1.name.as_ref() == it.name.as_ref());
        if let Some((other, _)) = first.filter(|other| fields(other.1) != fields(it) || other.1.single != it.single) {
            let message = format!("{} is not that of page `{}`", of(page, it), other.name.as_ref());
            let help = "slicers of one name are one for all pages: give it the same fields, or another name";
            check.layout(it.name.span(), message, Some(help));
        }
    }
}

/// Notes which of these cannot be names, or are taken.
fn names<'a>(check: &mut Check<'_>, names: impl IntoIterator<Item = &'a Spanned<String>>, what: &str) {
    let mut seen = BTreeSet::new();
    let fits = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    for it in names {
        let name: &String = it.as_ref();
        if name.is_empty() || name.len() > LONGEST || !name.chars().all(fits) {
            let help = format!("use letters, digits, `_` and `-`, at most {LONGEST} of them");
            check.layout(it.span(), format!("`{name}` is no name of a {what}"), Some(&help));
        } else if !seen.insert(name.to_lowercase()) {
            check.layout(it.span(), format!("there are two {what}s `{name}`"), None);
        }
    }
}

fn of(page: &Page, it: &Visual) -> String {
    format!("visual `{}/{}`", page.name.as_ref(), it.name.as_ref())
}

fn visual(check: &mut Check<'_>, page: &Page, it: &Visual) {
    let who = of(page, it);
    let ([x, y], [width, height]) = (*it.at.as_ref(), *it.size.as_ref());
    if width < 1 || height < 1 {
        check.layout(it.size.span(), format!("{who} has no size"), None);
    } else if x < 0 || y < 0 || x.saturating_add(width) > CANVAS[0] || y.saturating_add(height) > CANVAS[1] {
        let message = format!("{who} reaches beyond the page, which has {} × {}", CANVAS[0], CANVAS[1]);
        check.layout(it.at.span(), message, None);
    }
    if it.title.as_ref().trim().is_empty() {
        check.layout(it.title.span(), format!("{who} has no title"), None);
    }
    let form = *it.kind.as_ref();
    if it.single && form != Form::Slicer {
        check.layout(it.name.span(), format!("{who} is no slicer, and cannot be `single`"), None);
    }
    let roles = form.roles();
    for (role, fields) in &it.fields {
        let Some((_, takes, _)) = roles.iter().find(|known| known.0 == role) else {
            let names: Vec<&str> = roles.iter().map(|it| it.0).collect();
            let help = format!("its roles are: {}", names.join(", "));
            let at = fields.first().map_or_else(|| it.name.span(), Spanned::span);
            check.layout(at, format!("{who} has no role `{role}`"), Some(&help));
            continue;
        };
        for (i, field) in fields.iter().enumerate() {
            if fields[..i].iter().any(|it| it.as_ref() == field.as_ref()) {
                check.layout(field.span(), format!("{who} shows `{}` twice", field.as_ref()), None);
            }
            field_of(check, &who, role, *takes, field);
        }
    }
    for (role, _, needed) in roles {
        if *needed && it.fields.get(*role).is_none_or(Vec::is_empty) {
            check.layout(it.name.span(), format!("{who} needs a field in its role `{role}`"), None);
        }
    }
    if let Some(sort) = &it.sort
        && !it.fields.values().flatten().any(|it| it.as_ref() == sort.by.as_ref())
    {
        check.layout(
            sort.by.span(),
            format!("{who} is sorted by `{}`, which it does not show", sort.by.as_ref()),
            None,
        );
    }
}

fn field_of(check: &mut Check<'_>, who: &str, role: &str, takes: Takes, field: &Spanned<String>) {
    let text: &String = field.as_ref();
    let Some(target) = dax::field(text) else {
        let help = "a field is the title of a figure, or `Table[Column]`";
        return check.layout(field.span(), format!("{who}: `{text}` is no field"), Some(help));
    };
    if let Some((message, help)) = check.names.unknown(&target) {
        return check.layout(field.span(), format!("{who}: {message}"), Some(&help));
    }
    let wrong = match (takes, target) {
        (Takes::Measures, Target::Column(..)) => "a measure, and this is a column",
        (Takes::Columns, Target::Measure(_)) => "a column, and this is a measure",
        _ => return,
    };
    check.layout(field.span(), format!("{who}: its role `{role}` takes {wrong}"), None);
}

fn overlap(a: &Visual, b: &Visual) -> bool {
    let apart = |i: usize| {
        let (a_at, b_at) = (a.at.as_ref()[i], b.at.as_ref()[i]);
        a_at.saturating_add(a.size.as_ref()[i]) <= b_at || b_at.saturating_add(b.size.as_ref()[i]) <= a_at
    };
    !apart(0) && !apart(1)
}
