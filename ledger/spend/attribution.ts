import type { Tags } from '../../database/entities/usage-event.ts';

/** Who consumes, and what for, as far as the caller names it. */
export interface Attribution {
  memberId?: string | null | undefined;
  apiKeyId?: string | null | undefined;
  /** The workflow run that the usage is part of, and the step of that run. */
  runId?: string | null | undefined;
  stepId?: string | null | undefined;
  /** Up to five. */
  tags?: Tags | null | undefined;
}

/** As stored: null if it was not named. No tags are null too. */
export type StoredAttribution = {
  [Field in keyof Required<Attribution>]: NonNullable<Attribution[Field]> | null;
};

/** The columns of an attribution. */
export interface AttributionRow {
  member_id: string | null;
  api_key_id: string | null;
  run_id: string | null;
  step_id: string | null;
  tags: Tags | null;
}

export function toAttribution(row: AttributionRow): StoredAttribution {
  return {
    memberId: row.member_id,
    apiKeyId: row.api_key_id,
    runId: row.run_id,
    stepId: row.step_id,
    tags: row.tags,
  };
}

/** The attribution of an operation or a hold, as it is stored with it. */
export function storedAttribution({
  memberId,
  apiKeyId,
  runId,
  stepId,
  tags,
}: Attribution): StoredAttribution {
  return {
    memberId: memberId ?? null,
    apiKeyId: apiKeyId ?? null,
    runId: runId ?? null,
    stepId: stepId ?? null,
    tags: tags && Object.keys(tags).length > 0 ? tags : null,
  };
}
