//! Plans, progress and mistakes as text, JSON and Markdown.
