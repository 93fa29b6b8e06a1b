//! Find, start and stop a private Postgres cluster; make test databases from a template.
