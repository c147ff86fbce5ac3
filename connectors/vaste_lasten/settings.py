"""What the vaste-lasten connector needs to know: which partners deliver, where, and what their columns are called."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from connectors.vaste_lasten.bsn import is_bsn_name
from hub.errors import StopError

ColumnName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\r\n]+$")]
Word = Annotated[str, Field(min_length=1, max_length=20)]
Municipality = Annotated[str, Field(pattern=r"^[0-9]{4}$")]

ONE_OF: Final = ("gemeentecode", "partnersoort", "betrokkene_geinformeerd", "contactrol")
"""Fields that stand either in a column or in `fixed`."""


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Columns(_Form):
    """Field of the signal -> the name of the partner's column. The legal preconditions are columns, never fixed."""

    kenmerk: ColumnName = Field(description="The partner's own reference of the row. It comes back in the receipt; nothing else does.")
    gemeentecode: ColumnName | None = None
    achternaam: ColumnName
    voorletters: ColumnName | None = None
    geboortedatum: ColumnName | None = None
    postcode: ColumnName
    huisnummer: ColumnName
    huisletter: ColumnName | None = None
    huisnummertoevoeging: ColumnName | None = None
    telefoon: ColumnName | None = None
    email: ColumnName | None = None
    klantnummer: ColumnName | None = None
    partnersoort: ColumnName | None = None
    bedrag: ColumnName = Field(description="The arrear in euros; the signal holds cents.")
    achterstand_maanden: ColumnName
    crisissignaal: ColumnName
    natuurlijk_persoon: ColumnName
    persoonlijk_contact_gezocht: ColumnName
    gewezen_op_schuldhulp: ColumnName
    herinneringen: ColumnName
    doorgeven_aangeboden: ColumnName
    doorgeven_geweigerd: ColumnName
    betrokkene_geinformeerd: ColumnName | None = None
    contactrol: ColumnName | None = None

    @property
    def mapped(self) -> dict[str, str]:
        """Return field -> column, of those that the partner has."""
        return {field: column for field in type(self).model_fields if (column := getattr(self, field)) is not None}

    @model_validator(mode="after")
    def _each_its_own(self) -> Self:
        names = [normal(column) for column in self.mapped.values()]
        if len(set(names)) < len(names):
            raise ValueError("two fields are read from one column")
        if any(map(is_bsn_name, names)):
            raise ValueError("a column with a BSN cannot be mapped; partners do not send it")
        return self


class Fixed(_Form):
    """What is the same in every row of a partner."""

    gemeentecode: Municipality | None = None
    partnersoort: Literal["HUUR", "ZORG", "ENERGIE", "WATER"] | None = None
    betrokkene_geinformeerd: Literal["JA", "NEE_SPOED", "NEE_VEILIGHEID", "NEE_NIET_BEREIKBAAR", "NVT"] | None = None
    contactrol: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,60}$")] | None = None


class Sftp(_Form):
    """The partner's SFTP server. Its key is pinned: a server with another key gets no password and no file."""

    host: Annotated[str, Field(min_length=1)]
    port: int = Field(default=22, ge=1, le=65_535)
    user: Annotated[str, Field(min_length=1)]
    host_key: Annotated[str, Field(pattern=r"^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|ssh-rsa) [A-Za-z0-9+/]+=*$")]
    password: SecretStr | None = None
    key_file: Path | None = Field(
        default=None, description="Private key in OpenSSH form, without a passphrase, readable by this account only."
    )
    folder: str = Field(default=".", description="The folder on the server in which the partner puts its files.")
    timeout_seconds: float = Field(default=30, gt=0, le=600)

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.password is None) == (self.key_file is None):
            raise ValueError("give either `password` or `key_file`")
        return self


class Partner(_Form):
    """How one partner delivers."""

    participant: Annotated[str, Field(pattern=r"^[a-z][a-z0-9.-]{0,79}$")] = Field(description="Its name in participants.yaml.")
    folder: Path = Field(description="The watched folder; with `sftp` the folder in which its files are handled here.")
    sftp: Sftp | None = None
    settle_seconds: float = Field(default=5, ge=0, le=3600, description="A file whose size changes in this time is not read.")
    patience_minutes: float = Field(default=60, ge=0, description="An incomplete file that nobody wrote to for so long is put aside.")
    decimal: Literal[",", "."] = ","
    trailer: Annotated[str, Field(min_length=1, max_length=40)] | None = Field(
        default=None,
        description="What the first cell of the last line says; the second is the number of rows. Without it there is no such line.",
    )
    true_words: tuple[Word, ...] = ("ja", "j", "waar", "true", "1")
    false_words: tuple[Word, ...] = ("nee", "n", "onwaar", "false", "0")
    columns: Columns
    fixed: Fixed = Fixed()

    @model_validator(mode="after")
    def _all_fields_once(self) -> Self:
        either = [name for name in ONE_OF if (getattr(self.columns, name) is None) == (getattr(self.fixed, name) is None)]
        if either:
            raise ValueError(f"each of these stands either in `columns` or in `fixed`: {', '.join(either)}")
        if {word.casefold() for word in self.true_words} & {word.casefold() for word in self.false_words}:
            raise ValueError("a word is both true and false")
        return self


class _File(_Form):
    partners: Annotated[tuple[Partner, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _own_folders(self) -> Self:
        for what, values in (("participant", [p.participant for p in self.partners]), ("folder", [p.folder for p in self.partners])):
            if len(set(values)) < len(values):
                raise ValueError(f"two partners have the same `{what}`")
        return self


class VasteLastenSettings(BaseModel):
    """Where the partners are described, and where the connector keeps the key of its ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partners: Path = Field(description="The YAML file with each partner's folder, columns and SFTP server.")
    state_dir: Path = Field(
        default=Path(".hub/connectors/vaste_lasten"),
        description="The folder in which the connector keeps `id.key`, made at the first run. "
        "With another key the same file gives other signal ids, so keep it with the home.",
    )


def normal(name: str) -> str:
    """Return a column name as it is compared: without case, and with single spaces."""
    return " ".join(name.split()).casefold()


def read_partners(path: Path) -> tuple[Partner, ...]:
    """Read the settings of all partners; relative paths are relative to the file.

    Raises:
        StopError: The file cannot be read or holds faults: all of them, each with its line and key, never a value.
    """
    value, lines = _read(path)
    try:
        read = _File.model_validate(value)
    except ValidationError as error:
        faults = sorted(_fault(path, lines, fault) for fault in error.errors(include_input=False, include_url=False, include_context=False))
        raise StopError("\n".join(text for _, text in faults), "Put this right; the README of the connector explains each key.") from None
    here = path.parent
    return tuple(
        partner.model_copy(update={
            "folder": here / partner.folder,
            "sftp": partner.sftp and partner.sftp.model_copy(
                update={"key_file": partner.sftp.key_file and here / partner.sftp.key_file}
            ),
        })
        for partner in read.partners
    )  # fmt: skip


Loc = tuple[Hashable, ...]


def _read(path: Path) -> tuple[Any, dict[Loc, int]]:
    """Return the value of a YAML file and the line of each part of it."""
    hint = "Give a YAML file as in the README of the connector."
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        lines: dict[Loc, int] = {}
        doubles = list(_number(node, (), lines)) if node is not None else []
        value = loader.construct_document(node) if node is not None else None
    except OSError as error:
        raise StopError(f"{path}: cannot be read ({error.strerror or 'unknown error'})", hint) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise StopError(f"{path}:{line}: not valid YAML", hint) from None
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: not UTF-8, or a date that does not exist
        raise StopError(f"{path}: not valid YAML in UTF-8", hint) from None
    if doubles:
        raise StopError("\n".join(f"{path}:{line}: `{key}` is there twice" for line, key in doubles), "Keep one of them.")
    return value, lines


def _number(node: yaml.Node, loc: Loc, lines: dict[Loc, int]) -> Any:
    """Note the line of each part of a YAML tree, and yield the keys that are there twice."""
    lines.setdefault(loc, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*loc, key.value)
            if inner in lines:
                yield key.start_mark.line + 1, key.value
            lines[inner] = key.start_mark.line + 1
            yield from _number(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _number(value, (*loc, number), lines)


def _fault(path: Path, lines: dict[Loc, int], fault: Any) -> tuple[int, str]:
    loc: Loc = fault["loc"]
    nearest = loc
    while nearest not in lines and nearest:
        nearest = nearest[:-1]
    line = lines.get(nearest, 1)
    key = ".".join(str(step) for step in loc) or "the file"
    what = {"missing": "is missing", "extra_forbidden": "is no key of this file"}.get(fault["type"])
    return line, f"{path}:{line}: {key}: {what or fault['msg'].removeprefix('Value error, ')}"
