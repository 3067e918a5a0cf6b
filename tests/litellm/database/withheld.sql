-- The table by which LiteLLM 1.110 writes its spend log: the package with its migration is one that the index lacks.
-- From the model of that name in litellm/proxy/schema.prisma. Releases that bring it themselves keep theirs.
DO $$ BEGIN
    CREATE TYPE "AccountingDeliveryState" AS ENUM ('pending', 'applied', 'parked');
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
CREATE TABLE IF NOT EXISTS "LiteLLM_SpendLogDelivery" (
    delivery_id TEXT PRIMARY KEY,
    request_id TEXT NOT NULL,
    state "AccountingDeliveryState" NOT NULL DEFAULT 'pending',
    accounting_payload JSONB NOT NULL,
    is_batch BOOLEAN NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    applied_at TIMESTAMP(3),
    last_error TEXT,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
