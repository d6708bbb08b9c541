"""Shows or changes the schema of a journal that no service has open: ``python -m servicekit.journal URL [SCHEMA]``.

With SCHEMA the journal is downgraded for an earlier release, or upgraded; without, its schema version is printed.
"""

from __future__ import annotations

import click

from servicekit.clock import SystemClock
from servicekit.journal.database import Database
from servicekit.journal.migrate import migrate, read_version


@click.command()
@click.argument("url")
@click.argument("schema_version", metavar="[SCHEMA]", type=int, required=False)
def main(url: str, schema_version: int | None) -> None:
    """Print the schema version of the journal at URL, after changing it to SCHEMA if that is given.

    URL is that of SONICHAOS_JOURNAL_URL. Stop both services first.
    """
    try:
        database = Database.connect(url, clock=SystemClock())
        with database.writing() as tx:
            if schema_version is not None:
                migrate(tx.connection, schema_version)
            click.echo(read_version(tx.connection))
        database.close()
    except ValueError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
