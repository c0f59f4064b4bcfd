// FHIRCore
