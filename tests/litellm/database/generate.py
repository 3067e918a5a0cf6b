"""Generates Prisma's Python client without Prisma's command: the schema's description comes on standard input.

python generate.py schema.prisma FOLDER < description.json
"""

import json
import sys
from pathlib import Path

from prisma import config
from prisma.generator import Generator
from prisma.generator.models import PythonData

schema, folder = (Path(name).absolute() for name in sys.argv[1:3])
nothing = {"value": None, "fromEnvVar": None}
source = {"name": "client", "provider": "postgresql", "activeProvider": "postgresql", "sourceFilePath": str(schema)}
Generator().generate(
    PythonData.model_validate(
        {
            "generator": {
                "name": "client",
                "output": {"value": str(folder), "fromEnvVar": None},
                "provider": {"value": "prisma-client-py", "fromEnvVar": None},
                "config": {"recursive_type_depth": "-1"},
                "binaryTargets": [],
                "previewFeatures": [],
            },
            "otherGenerators": [],
            "schemaPath": str(schema),
            "datamodel": schema.read_text("utf-8"),
            "dmmf": json.load(sys.stdin),
            "version": config.expected_engine_version,
            "datasources": [{**source, "url": {"value": None, "fromEnvVar": "DATABASE_URL"}}],
            # Where the engine is, PRISMA_QUERY_ENGINE_BINARY says.
            "binaryPaths": {"queryEngine": {"native": "/nowhere"}},
        }
    )
)
