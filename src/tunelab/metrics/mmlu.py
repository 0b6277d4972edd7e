"""The subjects of MMLU and the two maps of them to categories.

The maps differ in one subject: lm-eval's tasks put anatomy in STEM (mmlu_anatomy.yaml), Hendrycks'
own categories.py counts it as health, and so as other. STEM is thus 19 subjects of 3,153 test
questions, or 18 of 3,018: figures of one are not those of the other.
"""

from __future__ import annotations

CATEGORIES = ("stem", "humanities", "social_sciences", "other")

_LM_EVAL: dict[str, tuple[str, ...]] = {
    "stem": (
        "abstract_algebra",
        "anatomy",
        "astronomy",
        "college_biology",
        "college_chemistry",
        "college_computer_science",
        "college_mathematics",
        "college_physics",
        "computer_security",
        "conceptual_physics",
        "electrical_engineering",
        "elementary_mathematics",
        "high_school_biology",
        "high_school_chemistry",
        "high_school_computer_science",
        "high_school_mathematics",
        "high_school_physics",
        "high_school_statistics",
        "machine_learning",
    ),
    "humanities": (
        "formal_logic",
        "high_school_european_history",
        "high_school_us_history",
        "high_school_world_history",
        "international_law",
        "jurisprudence",
        "logical_fallacies",
        "moral_disputes",
        "moral_scenarios",
        "philosophy",
        "prehistory",
        "professional_law",
        "world_religions",
    ),
    "social_sciences": (
        "econometrics",
        "high_school_geography",
        "high_school_government_and_politics",
        "high_school_macroeconomics",
        "high_school_microeconomics",
        "high_school_psychology",
        "human_sexuality",
        "professional_psychology",
        "public_relations",
        "security_studies",
        "sociology",
        "us_foreign_policy",
    ),
    "other": (
        "business_ethics",
        "clinical_knowledge",
        "college_medicine",
        "global_facts",
        "human_aging",
        "management",
        "marketing",
        "medical_genetics",
        "miscellaneous",
        "nutrition",
        "professional_accounting",
        "professional_medicine",
        "virology",
    ),
}

CATEGORY_OF: dict[str, str] = {
    subject: category for category, subjects in _LM_EVAL.items() for subject in subjects
}
"""lm-eval's map."""

HENDRYCKS_CATEGORY_OF: dict[str, str] = CATEGORY_OF | {"anatomy": "other"}
"""The authors' own map."""

SUBJECTS: tuple[str, ...] = tuple(sorted(CATEGORY_OF))
"""All 57."""
