"""Settings of the connection to NATS."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from tasks.frames.subjects import FrameSubjects
from tasks.protocol.routing import MAX_PARTITIONS
from tasks.settings import values

TlsFile = Annotated[str, AfterValidator(values.readable)]


class NatsSettings(BaseSettings):
    """The part of the settings that says where NATS is, what lets us in, and what ingest says of itself there."""

    nats_url: Annotated[str, AfterValidator(values.nats_url)] = Field(
        "nats://127.0.0.1:4222", description="NATS server, or several with commas between"
    )
    nats_user: str = Field("", description="NATS: user name; needs NATS_PASSWORD")
    nats_password: str = Field("", description="NATS: password of NATS_USER")
    nats_token: str = Field("", description="NATS: token to log in with")
    nats_nkey: str = Field("", description="NATS: seed of the nkey to log in with")
    nats_credentials: str = Field("", description="NATS: text of the credentials (.creds) to log in with")
    nats_tls_ca: TlsFile = Field("", description="NATS: file of the CA to trust, instead of the system's; asks for TLS")
    nats_tls_cert: TlsFile = Field("", description="NATS: file of our certificate; needs NATS_TLS_KEY; asks for TLS")
    nats_tls_key: TlsFile = Field("", description="NATS: file of the certificate's key")
    nats_tls_name: str = Field("", description="NATS: name in the server's certificate, if not the URL's host")
    verdict_subject: Annotated[str, AfterValidator(values.verdict_subject)] = Field(
        "", description="where ingest says every 15 s whether it is healthy; nothing: nowhere"
    )
    alert_subject: Annotated[str, AfterValidator(values.alert_subject)] = Field(
        "", description="where ingest tells what somebody has to see to at once, of its {name}; nothing: nowhere"
    )
    nats_subjects: Annotated[str, AfterValidator(values.nats_subjects)] = Field(
        "binance.>", description="what ingest listens to; several with commas between"
    )
    nats_partitions: int = Field(
        0,
        ge=0,
        le=MAX_PARTITIONS,
        description="feeds publish, and shards of ingest read, so many partitions of these subjects; 0: none",
    )

    @property
    def frame_subjects(self) -> FrameSubjects:
        """NATS_SUBJECTS and NATS_PARTITIONS, read."""
        return FrameSubjects.read(self.nats_subjects, self.nats_partitions)
