"""Sphinx's settings. The build needs no network."""

import triows

project = "triows"
copyright = "the triows contributors"
version = release = triows.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinxcontrib_trio",  # marks what is awaited, entered or iterated
]
exclude_patterns = ["_build"]
default_role = "code"
highlight_language = "text"

html_theme = "furo"
html_title = f"triows {release}"
html_show_copyright = False
html_copy_source = False

# sphinxcontrib-trio builds on autodoc's classes, which Sphinx 9 has moved aside.
autodoc_use_legacy_class_based = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100

# A reference of our own that leads nowhere is a warning. Other projects' cannot be resolved without a network, and some
# annotations name what is not documented.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(trio|werkzeug|jinja2|collections|contextlib|datetime|http|json|os|ssl)\..*"),
    (
        r"py:class",
        r"datetime|(triows\..*\.)?(App|F|_Checkpoint|Context|SessionMixin|NullSession|Blueprint(Setup|App)|JSONApp|RequestBase)"
        r"|Environment|Template|BaseLoader",
    ),
    (
        r"py:class",
        r"(datastructures\.)?Headers|HeadersLike|Query|Form|Files|Auth|CollectorRegistry|(.*\.)?TracerProvider|prometheus_client\..*",
    ),
    (r"py:class", r"(triows\..*\.)?(AsyncFile|ConditionalRequest|FileObject|Folder)"),
    (r"py:class", r"(triows\..*\.)?(AsyncContext|RequestContext|WebSocketContext)|types\..*|click\..*"),
    (r"py:meth", r"[a-z_]+"),  # what a blueprint has in common with the app is documented there
]
