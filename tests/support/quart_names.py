"""The names that Quart 0.22 has: what is held against those that are here, without Quart itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

APP = [
    "aborter",
    "aborter_class",
    "add_background_task",
    "add_template_filter",
    "add_template_global",
    "add_template_test",
    "add_url_rule",
    "add_websocket",
    "after_request",
    "after_request_funcs",
    "after_serving",
    "after_serving_funcs",
    "after_websocket",
    "after_websocket_funcs",
    "app_context",
    "app_ctx_globals_class",
    "asgi_app",
    "asgi_http_class",
    "asgi_lifespan_class",
    "asgi_websocket_class",
    "auto_find_instance_path",
    "background_tasks",
    "before_request",
    "before_request_funcs",
    "before_serving",
    "before_serving_funcs",
    "before_websocket",
    "before_websocket_funcs",
    "blueprints",
    "cli",
    "config",
    "config_class",
    "context_processor",
    "create_global_jinja_loader",
    "create_jinja_environment",
    "create_url_adapter",
    "debug",
    "default_config",
    "delete",
    "dispatch_request",
    "dispatch_websocket",
    "do_teardown_appcontext",
    "do_teardown_request",
    "do_teardown_websocket",
    "endpoint",
    "ensure_async",
    "error_handler_spec",
    "errorhandler",
    "event_class",
    "extensions",
    "finalize_request",
    "finalize_websocket",
    "full_dispatch_request",
    "full_dispatch_websocket",
    "get",
    "get_send_file_max_age",
    "handle_background_exception",
    "handle_exception",
    "handle_http_exception",
    "handle_request",
    "handle_url_build_error",
    "handle_user_exception",
    "handle_websocket",
    "handle_websocket_exception",
    "has_static_folder",
    "import_name",
    "inject_url_defaults",
    "instance_path",
    "iter_blueprints",
    "jinja_env",
    "jinja_environment",
    "jinja_loader",
    "jinja_options",
    "json",
    "json_provider_class",
    "lock_class",
    "log_exception",
    "logger",
    "make_aborter",
    "make_config",
    "make_default_options_response",
    "make_response",
    "make_shell_context",
    "name",
    "open_instance_resource",
    "open_resource",
    "patch",
    "permanent_session_lifetime",
    "post",
    "postprocess_websocket",
    "preprocess_request",
    "preprocess_websocket",
    "process_response",
    "put",
    "raise_routing_exception",
    "redirect",
    "register_blueprint",
    "register_error_handler",
    "request_class",
    "request_context",
    "response_class",
    "root_path",
    "route",
    "run",
    "run_task",
    "secret_key",
    "select_jinja_autoescape",
    "send_static_file",
    "session_interface",
    "shell_context_processor",
    "shell_context_processors",
    "should_ignore_error",
    "shutdown",
    "startup",
    "static_folder",
    "static_url_path",
    "subdomain_matching",
    "sync_to_async",
    "teardown_appcontext",
    "teardown_appcontext_funcs",
    "teardown_request",
    "teardown_request_funcs",
    "teardown_websocket",
    "teardown_websocket_funcs",
    "template_context_processors",
    "template_filter",
    "template_folder",
    "template_global",
    "template_test",
    "test_app",
    "test_app_class",
    "test_cli_runner",
    "test_cli_runner_class",
    "test_client",
    "test_client_class",
    "test_request_context",
    "testing",
    "trap_http_exception",
    "update_template_context",
    "url_build_error_handlers",
    "url_default_functions",
    "url_defaults",
    "url_for",
    "url_map",
    "url_map_class",
    "url_rule_class",
    "url_value_preprocessor",
    "url_value_preprocessors",
    "view_functions",
    "websocket",
    "websocket_class",
    "websocket_context",
    "while_serving",
    "while_serving_gens",
]
"""Public attributes of an app."""

BLUEPRINT = [
    "add_app_template_filter",
    "add_app_template_global",
    "add_app_template_test",
    "add_url_rule",
    "add_websocket",
    "after_app_request",
    "after_app_serving",
    "after_app_websocket",
    "after_request",
    "after_request_funcs",
    "after_websocket",
    "after_websocket_funcs",
    "app_context_processor",
    "app_errorhandler",
    "app_template_filter",
    "app_template_global",
    "app_template_test",
    "app_url_defaults",
    "app_url_value_preprocessor",
    "before_app_request",
    "before_app_serving",
    "before_app_websocket",
    "before_request",
    "before_request_funcs",
    "before_websocket",
    "before_websocket_funcs",
    "cli",
    "cli_group",
    "context_processor",
    "deferred_functions",
    "delete",
    "endpoint",
    "error_handler_spec",
    "errorhandler",
    "get",
    "get_send_file_max_age",
    "has_static_folder",
    "import_name",
    "jinja_loader",
    "make_setup_state",
    "name",
    "open_resource",
    "patch",
    "post",
    "put",
    "record",
    "record_once",
    "register",
    "register_blueprint",
    "register_error_handler",
    "root_path",
    "route",
    "send_static_file",
    "static_folder",
    "static_url_path",
    "subdomain",
    "teardown_app_request",
    "teardown_app_websocket",
    "teardown_request",
    "teardown_request_funcs",
    "teardown_websocket",
    "teardown_websocket_funcs",
    "template_context_processors",
    "template_folder",
    "url_default_functions",
    "url_defaults",
    "url_prefix",
    "url_value_preprocessor",
    "url_value_preprocessors",
    "url_values_defaults",
    "view_functions",
    "websocket",
    "while_app_serving",
]
"""Public attributes of a blueprint."""

SETTINGS: dict[str, Any] = {
    "DEBUG": None,
    "TESTING": False,
    "PROPAGATE_EXCEPTIONS": None,
    "SECRET_KEY": None,
    "SECRET_KEY_FALLBACKS": None,
    "PERMANENT_SESSION_LIFETIME": timedelta(days=31),
    "USE_X_SENDFILE": False,
    "TRUSTED_HOSTS": None,
    "SERVER_NAME": None,
    "APPLICATION_ROOT": "/",
    "SESSION_COOKIE_NAME": "session",
    "SESSION_COOKIE_DOMAIN": None,
    "SESSION_COOKIE_PATH": None,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SECURE": False,
    "SESSION_COOKIE_PARTITIONED": False,
    "SESSION_COOKIE_SAMESITE": None,
    "SESSION_REFRESH_EACH_REQUEST": True,
    "MAX_CONTENT_LENGTH": 16777216,
    "MAX_FORM_MEMORY_SIZE": 500000,
    "MAX_FORM_PARTS": 1000,
    "SEND_FILE_MAX_AGE_DEFAULT": timedelta(seconds=43200),
    "TRAP_BAD_REQUEST_ERRORS": None,
    "TRAP_HTTP_EXCEPTIONS": False,
    "EXPLAIN_TEMPLATE_LOADING": False,
    "PREFERRED_URL_SCHEME": "http",
    "TEMPLATES_AUTO_RELOAD": None,
    "MAX_COOKIE_SIZE": 4093,
    "PROVIDE_AUTOMATIC_OPTIONS": True,
    "BACKGROUND_TASK_SHUTDOWN_TIMEOUT": 5,
    "BODY_TIMEOUT": 60,
    "ENV": None,
    "PREFER_SECURE_URLS": False,
    "PRESERVE_CONTEXT_ON_EXCEPTION": None,
    "RESPONSE_TIMEOUT": 60,
}
"""The configuration of a new app."""

PARAMETERS = {
    name: parameters.split()
    for name, _, parameters in (
        line.strip().partition(": ")
        for line in """
    Quart.add_background_task: func
    Quart.add_template_filter: f name
    Quart.add_template_global: f name
    Quart.add_template_test: f name
    Quart.add_url_rule: rule endpoint view_func provide_automatic_options
    Quart.add_websocket: rule endpoint view_func
    Quart.after_request: f
    Quart.after_serving: func
    Quart.after_websocket: func
    Quart.before_request: f
    Quart.before_serving: func
    Quart.before_websocket: func
    Quart.context_processor: f
    Quart.create_url_adapter: request
    Quart.delete: rule
    Quart.dispatch_request: request_context
    Quart.dispatch_websocket: websocket_context
    Quart.do_teardown_appcontext: exc
    Quart.do_teardown_request: exc request_context
    Quart.do_teardown_websocket: exc websocket_context
    Quart.endpoint: endpoint
    Quart.ensure_async: func
    Quart.errorhandler: code_or_exception
    Quart.finalize_request: result request_context from_error_handler
    Quart.finalize_websocket: result websocket_context from_error_handler
    Quart.full_dispatch_request: request_context
    Quart.full_dispatch_websocket: websocket_context
    Quart.get: rule
    Quart.get_send_file_max_age: filename
    Quart.handle_exception: error
    Quart.handle_http_exception: error
    Quart.handle_url_build_error: error endpoint values
    Quart.handle_user_exception: error
    Quart.handle_websocket_exception: error
    Quart.inject_url_defaults: endpoint values
    Quart.log_exception: exception_info
    Quart.make_config: instance_relative
    Quart.make_response: result
    Quart.open_instance_resource: path mode
    Quart.open_resource: path mode
    Quart.patch: rule
    Quart.post: rule
    Quart.postprocess_websocket: response websocket_context
    Quart.preprocess_request: request_context
    Quart.preprocess_websocket: websocket_context
    Quart.process_response: response request_context
    Quart.put: rule
    Quart.raise_routing_exception: request
    Quart.register_blueprint: blueprint
    Quart.register_error_handler: code_or_exception f
    Quart.request_context: request
    Quart.route: rule
    Quart.select_jinja_autoescape: filename
    Quart.send_static_file: filename
    Quart.sync_to_async: func
    Quart.teardown_appcontext: f
    Quart.teardown_request: f
    Quart.teardown_websocket: func
    Quart.template_filter: name
    Quart.template_global: name
    Quart.template_test: name
    Quart.test_client: use_cookies
    Quart.test_request_context: path method headers query_string scheme send_push_promise data form json \
        root_path http_version scope_base auth subdomain
    Quart.trap_http_exception: e
    Quart.update_template_context: context
    Quart.url_defaults: f
    Quart.url_for: endpoint _anchor _external _method _scheme
    Quart.url_value_preprocessor: f
    Quart.websocket: rule
    Quart.websocket_context: websocket
    Quart.while_serving: func
    Blueprint.add_app_template_filter: f name
    Blueprint.add_app_template_global: f name
    Blueprint.add_app_template_test: f name
    Blueprint.after_app_request: f
    Blueprint.after_app_serving: func
    Blueprint.after_app_websocket: func
    Blueprint.app_context_processor: f
    Blueprint.app_errorhandler: code
    Blueprint.app_template_filter: name
    Blueprint.app_template_global: name
    Blueprint.app_template_test: name
    Blueprint.app_url_defaults: f
    Blueprint.app_url_value_preprocessor: f
    Blueprint.before_app_request: f
    Blueprint.before_app_serving: func
    Blueprint.before_app_websocket: func
    Blueprint.record: func
    Blueprint.record_once: func
    Blueprint.register: app options
    Blueprint.teardown_app_request: f
    Blueprint.teardown_app_websocket: func
    Blueprint.while_app_serving: func
    Config.from_envvar: variable_name silent
    Config.from_file: filename load silent text
    Config.from_mapping: mapping
    Config.from_object: obj
    Config.from_prefixed_env: prefix loads
    Config.from_pyfile: filename silent
    Config.get_namespace: namespace lowercase trim_namespace
    Websocket.accept: headers subprotocol
    Websocket.close: code reason
    Websocket.send: data
    Request.get_data: cache as_text parse_form_data
    Request.get_json: force silent cache
    Request.on_json_loading_failed: error
    Request.send_push_promise: path
    Response.add_etag: overwrite weak
    Response.delete_cookie: key path domain secure httponly samesite partitioned
    Response.get_data: as_text
    Response.get_json: force silent
    Response.make_conditional: request accept_ranges complete_length
    Response.set_cookie: key value max_age expires path domain secure httponly samesite partitioned
    Response.set_data: data
    Response.set_etag: etag weak
    sessions.SessionInterface.get_cookie_domain: app
    sessions.SessionInterface.get_cookie_httponly: app
    sessions.SessionInterface.get_cookie_name: app
    sessions.SessionInterface.get_cookie_partitioned: app
    sessions.SessionInterface.get_cookie_path: app
    sessions.SessionInterface.get_cookie_samesite: app
    sessions.SessionInterface.get_cookie_secure: app
    sessions.SessionInterface.get_expiration_time: app session
    sessions.SessionInterface.is_null_session: instance
    sessions.SessionInterface.make_null_session: app
    sessions.SessionInterface.open_session: app request
    sessions.SessionInterface.save_session: app session response
    sessions.SessionInterface.should_set_cookie: app session
    testing.QuartClient.delete_cookie: server_name key path domain
    testing.QuartClient.open: path method headers data form files query_string json scheme follow_redirects \
        root_path http_version scope_base auth subdomain
    testing.QuartClient.request: path method headers query_string scheme root_path http_version scope_base auth \
        subdomain
    testing.QuartClient.session_transaction: path method headers query_string scheme data form json root_path \
        http_version auth
    testing.QuartClient.set_cookie: server_name key value max_age expires path domain secure httponly samesite
    testing.QuartClient.websocket: path headers query_string scheme subprotocols root_path http_version \
        scope_base auth subdomain
    blueprints.BlueprintSetupState.add_url_rule: rule endpoint view_func
    datastructures.FileStorage.load: source buffer_size
    datastructures.FileStorage.save: destination buffer_size
    json.provider.JSONProvider.dump: obj fp
    json.provider.JSONProvider.dumps: obj
    json.provider.JSONProvider.load: fp
    json.provider.JSONProvider.loads: s
    after_this_request: func
    copy_current_app_context: func
    copy_current_request_context: func
    copy_current_websocket_context: func
    abort: code
    flash: message category
    get_flashed_messages: with_categories category_filter
    get_template_attribute: template_name attribute
    make_push_promise: path
    redirect: location code
    send_file: filename_or_io mimetype as_attachment attachment_filename add_etags cache_timeout conditional \
        last_modified
    send_from_directory: directory file_name mimetype as_attachment attachment_filename add_etags cache_timeout \
        conditional last_modified
    stream_with_context: func
    url_for: endpoint _anchor _external _method _scheme
    render_template: template_name_or_list
    render_template_string: source
    stream_template: template_name_or_list
    stream_template_string: source
    helpers.get_root_path: import_name
    ctx.after_this_websocket: func
    utils.run_sync: func
    utils.run_sync_iterable: iterable
    utils.encode_headers: headers
    utils.decode_headers: headers
    json.dumps: object_
    json.dump: object_ fp
    json.loads: object_
    json.load: fp
    testing.make_test_body_with_headers: data form files json app
    testing.make_test_headers_path_and_query_string: app path headers query_string auth subdomain
    testing.make_test_scope: type_ path method headers query_string scheme root_path http_version scope_base \
        _preserve_context
    testing.no_op_push: path headers
        """.strip().splitlines()
    )
}
"""The parameters of Quart's functions and methods, by their paths below ``quart``: what callers may pass by name."""
